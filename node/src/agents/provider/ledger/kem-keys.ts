import { mkdir, open, readFile, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../../../host/files/index.js'
import { z } from 'zod'
import { fromHex, hex32, toHex, type Agreement, type Clock } from '@pekka/node/protocol'

const fileSchema = z.strictObject({ v: z.literal(1), ask: hex32, privateKey: hex32, expiry: z.number().int() })

export interface KemKey {
  privateKey: Uint8Array
  publicKey: Uint8Array
  /** ms since 1970; the key is gone soon after. */
  expiry: number
}

/**
 * The X25519 keys that task keys are boxed to, one per ask. A key is on disk (0600) because an offer made before a restart must
 * still open, and it is deleted with its ask: what was boxed to it can then be read by nobody (forward secrecy, R3).
 */
export class KemKeys {
  readonly #keys = new Map<string, KemKey>()

  constructor(
    private readonly components: { agreement: Agreement; clock: Clock },
    private readonly directory: string
  ) {}

  /** Reads what is there; expired and damaged files are removed. */
  async open(): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 })
    for (const name of await readdir(this.directory)) {
      const file = join(this.directory, name)
      const parsed = fileSchema.safeParse(parseJson(await readFile(file, 'utf8')))
      if (!parsed.success || parsed.data.expiry <= this.components.clock.now()) {
        await wipe(file)
        continue
      }
      const { ask, privateKey, expiry } = parsed.data
      const publicKey = await this.components.agreement.publicKey(privateKey)
      this.#keys.set(toHex(ask), { privateKey, publicKey, expiry })
    }
  }

  /** A fresh key for an ask; on disk before it is published. */
  async make(ask: Uint8Array, expiry: number): Promise<KemKey> {
    const { privateKey, publicKey } = await this.components.agreement.generate()
    const file = this.#file(ask)
    const text = JSON.stringify({ v: 1, ask: toHex(ask), privateKey: toHex(privateKey), expiry })
    await replaceFile(file, text)
    const key = { privateKey, publicKey, expiry }
    this.#keys.set(toHex(ask), key)
    return key
  }

  get(ask: Uint8Array): KemKey | undefined {
    return this.#keys.get(toHex(ask))
  }

  async remove(ask: Uint8Array): Promise<void> {
    this.#keys.delete(toHex(ask))
    await wipe(this.#file(ask))
  }

  /** Deletes keys whose time is over. */
  async sweep(): Promise<void> {
    const now = this.components.clock.now()
    for (const [ask, { expiry }] of this.#keys) if (expiry <= now) await this.remove(fromHex(ask))
  }

  #file(ask: Uint8Array): string {
    return join(this.directory, `${toHex(ask)}.json`)
  }
}

/** Overwrites before it unlinks. On a journalling or flash disk old blocks may stay; the key was short-lived for that reason. */
async function wipe(file: string): Promise<void> {
  try {
    const handle = await open(file, 'r+')
    try {
      const { size } = await handle.stat()
      await handle.write(new Uint8Array(size), 0, size, 0)
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  await rm(file, { force: true })
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
