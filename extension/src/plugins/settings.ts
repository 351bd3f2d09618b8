import type { ISettingRegistry } from '@jupyterlab/settingregistry'
import { CREDIT, MAX_RETURN_BYTES, toHex } from '@pekka/node/protocol'
import type { Agreements, RunSettings } from '../run/index.js'
import type { SessionSettings } from '../session/index.js'
import type { Returning } from '../values/index.js'

/** Micro-credits in a credit, as a number: settings hold credits as people write them. */
const MICRO = Number(CREDIT)
const GIB = 1 << 30
const MINUTE_MS = 60_000
const MEGABYTE = 1_000_000
/** A kept machine is let go after this in any case, ms: a forgotten page that runs cells by itself costs no more. */
const KEEP_LIFE_MS = 12 * 60 * MINUTE_MS

/** Lab's settings of the extension (schema/plugin.json), and what was agreed to. */
export class Settings implements Agreements {
  constructor(private readonly registry: ISettingRegistry.ISettings) {}

  get changed(): ISettingRegistry.ISettings['changed'] {
    return this.registry.changed
  }

  /** `auto` or an address. */
  get bridge(): string {
    const value = this.#text('bridge')
    return value === 'auto' || !URL.canParse(value) ? 'auto' : value
  }

  /** Tasks longer than this are told by a notification when they end, ms. */
  get notifyAfterMs(): number {
    return this.#number('notifyAfter') * 1000
  }

  settings(): RunSettings {
    return {
      cap: BigInt(Math.max(1, Math.round(this.#number('cap') * MICRO))),
      image: this.#text('image'),
      memoryBytes: Math.round(this.#number('memory') * GIB),
      wallMs: Math.round(this.#number('timeLimit') * MINUTE_MS),
      realEntropy: this.registry.get('seedRandom').composite === false,
      nativeNumerics: this.registry.get('pinNumerics').composite === false
    }
  }

  returning(): Returning {
    const mode = this.#text('returnValues')
    return {
      mode: mode === 'always' || mode === 'never' ? mode : 'ask',
      maxBytes: Math.min(MAX_RETURN_BYTES, Math.round(this.#number('returnLimit') * MEGABYTE))
    }
  }

  session(): SessionSettings {
    const idleMs = Math.round(this.#number('keepIdle') * MINUTE_MS)
    return {
      sessionCap: BigInt(Math.max(1, Math.round(this.#number('keepCap') * MICRO))),
      terms: { idleMs, lifeMs: Math.max(idleMs, KEEP_LIFE_MS) }
    }
  }

  silent(bridge: Uint8Array, cap: bigint): boolean {
    const limit = BigInt(Math.round(this.#number('askAbove') * MICRO))
    return this.#agreed().includes(toHex(bridge)) && cap <= limit
  }

  async agree(bridge: Uint8Array, { dontAskUnder }: { dontAskUnder: bigint | undefined }): Promise<void> {
    const limit = Number(dontAskUnder ?? 0n) / MICRO
    if (limit !== this.#number('askAbove')) await this.registry.set('askAbove', limit)
    const id = toHex(bridge)
    if (!this.#agreed().includes(id)) await this.registry.set('agreed', [...this.#agreed(), id])
  }

  #agreed(): string[] {
    const { composite } = this.registry.get('agreed')
    return Array.isArray(composite) ? composite.filter(id => typeof id === 'string') : []
  }

  #text(key: string): string {
    const { composite } = this.registry.get(key)
    return typeof composite === 'string' ? composite : ''
  }

  #number(key: string): number {
    const { composite } = this.registry.get(key)
    return typeof composite === 'number' ? composite : 0
  }
}
