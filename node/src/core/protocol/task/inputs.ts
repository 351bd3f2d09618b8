import { z } from 'zod'
import { PekkaError } from '../errors.js'
import { bytes32, whole } from '../encoding/schema.js'

/** Inputs of one task. */
export const MAX_INPUTS = 32
/** Bytes of one input, and of all of a task: what a sandbox's disk holds by default, less room to work. */
export const MAX_INPUT_BYTES = 1 << 30

/** A place below the working directory: plain names, no `.` or `..`, nothing hidden. */
const relativePath = z
  .string()
  .max(512)
  .regex(/^(?!\.)[^/\\\0]+(?:\/(?!\.)[^/\\\0]+){0,7}$/)

/**
 * Data that a program reads from an address, fetched beforehand outside the sandbox: there it is a file at `path` below the
 * working directory, and opening the address gives the file.
 */
export const inputSchema = z.strictObject({
  url: z.string().max(2048),
  hash: bytes32,
  size: whole.max(MAX_INPUT_BYTES),
  path: relativePath
})
export type Input = z.infer<typeof inputSchema>

export const inputsSchema = z
  .array(inputSchema)
  .max(MAX_INPUTS)
  .refine(inputs => new Set(inputs.map(({ path }) => path)).size === inputs.length, 'two inputs have one path')
  .refine(inputs => inputs.reduce((sum, { size }) => sum + size, 0) <= MAX_INPUT_BYTES, 'inputs are too large')

// ---- POST /v1/inputs

export const inputRequestSchema = z.strictObject({ url: z.string().min(1).max(2048) })
export const inputAnswerSchema = z.object({ url: z.string(), hash: bytes32, size: whole, name: z.string() })
export type InputAnswer = z.infer<typeof inputAnswerSchema>

/**
 * Reads `URL` or `URL=path`. Without a path the file has the name that the address ends in.
 * @throws PekkaError INPUT_REFUSED
 */
export function parseInput(text: string): { url: string; path: string } {
  const refuse = (issue: string): never => {
    throw new PekkaError('INPUT_REFUSED', { url: text.slice(0, 200), issue })
  }
  const match = /^(https?:\/\/[^\s]+?)(?:=([^=?&#]+))?$/.exec(text.trim())
  const [, url, path] = match ?? []
  if (url === undefined) return refuse('it is no https:// address')
  // "…?id=3" ends like an address with a path: a question mark before it makes it part of the address.
  const whole = path !== undefined && url.includes('?') ? `${url}=${path}` : url
  const named = path !== undefined && !url.includes('?') ? path : nameOf(whole)
  return relativePath.safeParse(named).success
    ? { url: whole, path: named }
    : refuse(`"${named}" is no place for a file`)
}

/** Parts of an address that are keys by custom: `…?token=`, `X-Amz-Signature=`. */
const SECRET =
  /[?&](?:[^=&]*(?:token|secret|passw|signature|credential|api[-_]?key)[^=&]*|(?:access|subscription)?[-_]?key|sig|auth)=/i

/** Whether an address that code reads looks like it holds a secret: it is fetched only for who asks for it by itself. */
export const looksSecret = (url: string): boolean => SECRET.test(url)

/**
 * Why no bridge fetches an address that code reads, for people; null where it may. What one's operator allows, it says itself when it
 * is asked: not before the user agreed.
 */
export function addressIssue(url: string): string | null {
  if (!/^https:\/\//i.test(url)) return 'Only https:// is fetched.'
  return /^https:\/\/[^/?#]*@/i.test(url) ? 'It holds a password, which machines would read.' : null
}

/** The last part of an address's path as a file name. */
export function nameOf(url: string): string {
  const last = /^https?:\/\/[^/?#]+(?:\/[^?#]*)?\/([^/?#]+)/.exec(url)?.[1] ?? ''
  let name = last
  try {
    name = decodeURIComponent(last)
  } catch {
    // Not an encoding: taken as it is.
  }
  name = name.replace(/[/\\\0]/g, '_').replace(/^\.+/, '')
  return name === '' ? 'input' : name.slice(0, 200)
}

/**
 * Where inputs stand whose places nobody named, one after the other. A folder of their own leaves the name itself free: code often
 * saves what it reads under it (`urlretrieve(url, 'stars.csv')`).
 */
export const INPUTS_FOLDER = 'inputs'

/** A place for each address: `inputs/stars.csv`, and `inputs/2-stars.csv` where that is taken. */
export function placeInputs(urls: readonly string[]): { url: string; path: string }[] {
  const taken = new Set<string>()
  return urls.map(url => {
    const name = nameOf(url)
    let path = `${INPUTS_FOLDER}/${name}`
    for (let count = 2; taken.has(path); count++) path = `${INPUTS_FOLDER}/${count}-${name}`
    taken.add(path)
    return { url, path }
  })
}
