import type { Logger } from 'pino'
import { toHex, type LedgerAccess } from '@pekka/node/protocol'
import type { Tokens } from '../api/index.js'
import { RECHECKS, RECHECK_PAUSE_MS } from './constants.js'

export interface UnseenAccountsComponents {
  ledger: Pick<LedgerAccess, 'account'>
  tokens: Pick<Tokens, 'recheck'>
  log: Pick<Logger, 'debug'>
}

/** Accounts that may have changed unseen: a few readers look at them, and tokens of keys that were revoked end. */
export class UnseenAccounts {
  readonly #waiting = new Map<string, Uint8Array>()
  #readers = 0
  #stopped = false

  constructor(private readonly components: UnseenAccountsComponents) {}

  look(accounts: readonly Uint8Array[]): void {
    if (this.#stopped) return
    for (const account of accounts) this.#waiting.set(toHex(account), account)
    const wanted = Math.min(RECHECKS, this.#waiting.size)
    for (; this.#readers < wanted; this.#readers++) void this.#read()
  }

  stop(): void {
    this.#stopped = true
    this.#waiting.clear()
  }

  /** One that couldn't be read is read again, after the others. */
  async #read(): Promise<void> {
    const { ledger, tokens, log } = this.components
    for (let [next] = this.#waiting; next !== undefined; [next] = this.#waiting) {
      const [name, account] = next
      this.#waiting.delete(name)
      try {
        const view = await ledger.account(account)
        if (view !== null) tokens.recheck(view)
      } catch (error) {
        log.debug({ err: error }, 'an account could not be read')
        if (this.#stopped) break
        this.#waiting.set(name, account)
        await new Promise<void>(resolve => setTimeout(resolve, RECHECK_PAUSE_MS).unref())
      }
    }
    this.#readers--
  }
}
