import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '@pekka/node/protocol'
import { PekkaError } from '@pekka/node/protocol'
import { INVITE_MS, MAX_INVITES } from './constants.js'

/** Codes with which a new provider may ask what it needs to join: one use, ten minutes, kept as hashes. */
export class Invites {
  readonly #codes = new Map<string, number>()

  constructor(private readonly clock: Clock) {}

  /** @throws PekkaError RATE_LIMITED when too many are open */
  create(): { code: string; expires: number } {
    this.#forgetOld()
    if (this.#codes.size >= MAX_INVITES) throw new PekkaError('RATE_LIMITED')
    const code = randomBytes(24).toString('base64url')
    const expires = this.clock.now() + INVITE_MS
    this.#codes.set(hashOf(code), expires)
    return { code, expires }
  }

  /** Whether the code was open; from now on it isn't. */
  take(code: string): boolean {
    this.#forgetOld()
    // Found by its hash: how long the look-up takes tells nothing about codes.
    return this.#codes.delete(hashOf(code))
  }

  #forgetOld(): void {
    const now = this.clock.now()
    for (const [hash, expires] of this.#codes) if (expires <= now) this.#codes.delete(hash)
  }
}

const hashOf = (code: string): string => createHash('sha256').update(code).digest('hex')
