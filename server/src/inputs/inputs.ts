import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { mkdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { PekkaError, fromHex, nameOf, taggedHash, toHex, utf8, type InputAnswer } from '@pekka/node/protocol'
import { makeRoom } from '@pekka/node/host/layers'
import { Turns } from '../layers/turns.js'
import { AT_ONCE, IN_USE_MS, KEPT_BYTES, MAX_WAITING } from './constants.js'
import { fetchInput, type FetchPolicy, type Resolve } from './fetch.js'

export interface InputsComponents {
  log: { info(data: object, text: string): void }
  /** Default: the system's. */
  resolve?: Resolve
}

export interface InputsInit {
  folder: string
  policy: FetchPolicy
  /** Bytes of inputs that are kept. */
  maxBytes?: number
}

const knownSchema = z.object({ hash: z.string(), etag: z.string().nullable() })

/** Data of declared addresses, fetched outside of any sandbox and kept by hash. */
export class Inputs {
  readonly #under = new Map<string, Promise<InputAnswer>>()
  readonly #turns = new Turns(AT_ONCE, MAX_WAITING)
  readonly #ending = new AbortController()

  constructor(
    private readonly components: InputsComponents,
    private readonly init: InputsInit
  ) {}

  async start(): Promise<void> {
    await rm(this.#place('drafts'), { recursive: true, force: true })
    for (const name of ['drafts', 'files', 'known']) await mkdir(this.#place(name), { recursive: true, mode: 0o700 })
  }

  async stop(): Promise<void> {
    this.#ending.abort(new PekkaError('BRIDGE_BUSY'))
    await Promise.allSettled(this.#under.values())
  }

  /**
   * Fetches what stands at an address now. Where its server says that nothing has changed, what is here is taken.
   * @throws PekkaError INPUT_REFUSED, INPUT_UNREACHABLE, INPUT_TOO_BIG, BRIDGE_BUSY
   */
  fetch(url: string): Promise<InputAnswer> {
    const under = this.#under.get(url)
    if (under !== undefined) return under
    const { signal } = this.#ending
    const fetched = this.#turns.take(signal, () => this.#fetch(url, signal))
    this.#under.set(url, fetched)
    const done = (): void => void this.#under.delete(url)
    fetched.then(done, done)
    return fetched
  }

  /** An input by its hash. */
  async blob(hash: Uint8Array): Promise<{ size: number; chunks: AsyncIterable<Uint8Array> } | null> {
    const path = this.#file(toHex(hash))
    const found = await stat(path).catch(() => null)
    if (found === null) return null
    await touch(path)
    return { size: found.size, chunks: createReadStream(path, { highWaterMark: 256 << 10 }) }
  }

  async #fetch(url: string, signal: AbortSignal): Promise<InputAnswer> {
    const key = toHex(taggedHash('pekka/input/v1', utf8(url)))
    const known = await this.#known(key)
    await makeRoom(this.#place('files'), { maxBytes: this.init.maxBytes ?? KEPT_BYTES, inUseMs: IN_USE_MS })
    const draft = this.#place('drafts', randomBytes(8).toString('hex'))
    try {
      const { policy } = this.init
      const { resolve } = this.components
      const found = await fetchInput(url, draft, policy, {
        etag: known?.etag ?? null,
        signal,
        ...(resolve && { resolve })
      })
      if (found === null && known !== null) {
        await touch(this.#file(toHex(known.hash)))
        return { url, hash: known.hash, size: known.size, name: nameOf(url) }
      }
      if (found === null) throw new PekkaError('INPUT_UNREACHABLE', { url, issue: 'the server answered 304' })
      await rename(draft, this.#file(toHex(found.hash)))
      await writeFile(`${draft}.known`, JSON.stringify({ hash: toHex(found.hash), etag: found.etag }), { mode: 0o600 })
      await rename(`${draft}.known`, this.#place('known', key))
      this.components.log.info({ size: found.size }, 'an input was fetched')
      return { url, hash: found.hash, size: found.size, name: nameOf(url) }
    } finally {
      await rm(draft, { force: true })
    }
  }

  async #known(key: string): Promise<{ hash: Uint8Array; size: number; etag: string } | null> {
    try {
      const { hash, etag } = knownSchema.parse(JSON.parse(await readFile(this.#place('known', key), 'utf8')))
      const { size } = await stat(this.#file(hash))
      return etag === null ? null : { hash: fromHex(hash), size, etag }
    } catch {
      return null
    }
  }

  #file(hash: string): string {
    return this.#place('files', hash)
  }

  #place(...names: string[]): string {
    return join(this.init.folder, ...names)
  }
}

async function touch(path: string): Promise<void> {
  const now = new Date()
  await utimes(path, now, now)
}
