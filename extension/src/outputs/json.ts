import type { PartialJSONValue, PartialJSONObject } from '@lumino/coreutils'
import { MAX_JSON_DEPTH, MAX_JSON_VALUES } from './constants.js'
import { cleanText } from './text.js'

class TooLarge extends Error {}

/** A copy of a JSON object or list with bounded depth and size and readable text; undefined where it is too large. */
export function cleanJson(value: unknown): PartialJSONObject | PartialJSONValue[] | undefined {
  let left = MAX_JSON_VALUES
  const copy = (part: unknown, depth: number): PartialJSONValue => {
    left -= 1
    if (left < 0 || depth > MAX_JSON_DEPTH) throw new TooLarge()
    if (typeof part === 'string') return cleanText(part)
    if (typeof part === 'number') return Number.isFinite(part) ? part : null
    if (typeof part === 'boolean' || part === null) return part
    if (Array.isArray(part)) return part.map(item => copy(item, depth + 1))
    if (typeof part !== 'object') return null
    const object: PartialJSONObject = {}
    for (const [key, item] of Object.entries(part)) {
      if (key !== '__proto__') object[cleanText(key)] = copy(item, depth + 1)
    }
    return object
  }
  if (typeof value !== 'object' || value === null) return undefined
  try {
    const copied = copy(value, 0)
    return typeof copied === 'object' && copied !== null ? copied : undefined
  } catch (error) {
    if (error instanceof TooLarge) return undefined
    throw error
  }
}
