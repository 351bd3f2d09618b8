import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { createExclusive } from '../../core/client/index.js'
import { toHex } from '../../core/protocol/index.js'
import { replaceFile } from '../../host/files/index.js'

/** Networks that are remembered; those that were looked at longest ago go first. */
const MAX_NETWORKS = 1_024

const fileSchema = z.strictObject({
  v: z.literal(1),
  /** Index of the newest checkpoint by network, the last one that rose at the end. */
  checkpoints: z.record(z.string().regex(/^[0-9a-f]{64}$/), z.number().int().nonnegative())
})

/**
 * How far the wallet has seen each network's ledger, beyond its own end: a bridge must not show a restarted wallet the account as it was,
 * with keys that have since been removed. In a file beside the wallet's, since it changes with each look and the keys don't.
 */
export class SeenCheckpoints {
  readonly #alone = createExclusive()

  private constructor(
    private readonly path: string,
    private readonly indexes: Map<string, number>
  ) {}

  /** @throws TypeError where the file is none of this version; it is never overwritten */
  static async open(path: string): Promise<SeenCheckpoints> {
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
      return new SeenCheckpoints(path, new Map())
    }
    const parsed = fileSchema.safeParse(JSON.parse(text))
    if (!parsed.success) throw new TypeError(`${path} is not of this version; it was left as it is`)
    return new SeenCheckpoints(path, new Map(Object.entries(parsed.data.checkpoints)))
  }

  /** Index of the newest checkpoint that was seen of a network; −1: none. */
  of(network: Uint8Array): number {
    return this.indexes.get(toHex(network)) ?? -1
  }

  /** On the disk when this resolves. One that isn't newer changes nothing. */
  async note(network: Uint8Array, index: number): Promise<void> {
    await this.#alone(async () => {
      if (index <= this.of(network)) return
      const name = toHex(network)
      await this.#write([...this.#others(name).slice(1 - MAX_NETWORKS), [name, index]])
    })
  }

  /** Any checkpoint of that network may be the newest again. On the disk when this resolves. */
  async forget(network: Uint8Array): Promise<void> {
    await this.#alone(async () => await this.#write(this.#others(toHex(network))))
  }

  #others(name: string): [string, number][] {
    return [...this.indexes].filter(([other]) => other !== name)
  }

  async #write(kept: readonly [string, number][]): Promise<void> {
    await replaceFile(this.path, `${JSON.stringify({ v: 1, checkpoints: Object.fromEntries(kept) })}\n`)
    this.indexes.clear()
    for (const [name, index] of kept) this.indexes.set(name, index)
  }
}
