/** Finds programs. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Places of administrators' programs, which an ordinary user's PATH often lacks. */
const SYSTEM_PLACES = ['/usr/local/sbin', '/usr/sbin', '/sbin']

/**
 * The full path of a program on PATH (or in the system's places), or undefined.
 * @param {string} program
 */
export function find(program) {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_PLACES]) {
    if (!folder) continue
    try {
      accessSync(join(folder, program), constants.X_OK)
      return join(folder, program)
    } catch {
      // not here
    }
  }
  return undefined
}
