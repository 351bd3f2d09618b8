import { randomBytes } from 'node:crypto'
import { chmod, mkdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { toHex, type Input } from '@pekka/node/protocol'
import { checkHash, linkFile, makeRoom } from '@pekka/node/host/layers'
import { SANDBOX_EXTRAS } from '@pekka/node/host/sandbox'

/** Bytes of inputs that are kept, and for how long at least after their last use, ms. */
const KEPT_BYTES = 10_000_000_000
const IN_USE_MS = 600_000

type Fetch = (what: Input, path: string) => Promise<void>

export interface InputStoreInit {
  folder: string
  /** Default 10 GB. */
  maxBytes?: number
}

/** Inputs by hash, on this machine's disk; a file is there whole or not at all. */
export class InputStore {
  readonly #under = new Map<string, Promise<string>>()
  #opened: Promise<void> | null = null

  constructor(private readonly init: InputStoreInit) {}

  /** @throws PekkaError BLOB_MISMATCH; what `fetch` throws */
  async ensure(inputs: readonly Input[], fetch: Fetch): Promise<{ input: Input; file: string }[]> {
    if (inputs.length === 0) return []
    this.#opened ??= this.#open()
    await this.#opened
    return await Promise.all(inputs.map(async input => ({ input, file: await this.#ensure(input, fetch) })))
  }

  #ensure(input: Input, fetch: Fetch): Promise<string> {
    const name = toHex(input.hash)
    const under = this.#under.get(name)
    if (under !== undefined) return under
    const made = this.#make(name, input, fetch)
    this.#under.set(name, made)
    const done = (): void => void this.#under.delete(name)
    made.then(done, done)
    return made
  }

  async #make(name: string, input: Input, fetch: Fetch): Promise<string> {
    const file = join(this.init.folder, 'files', name)
    if ((await stat(file).catch(() => null))?.size === input.size) {
      const now = new Date()
      await utimes(file, now, now)
      return file
    }
    await makeRoom(join(this.init.folder, 'files'), { maxBytes: this.init.maxBytes ?? KEPT_BYTES, inUseMs: IN_USE_MS })
    const draft = join(this.init.folder, 'drafts', randomBytes(8).toString('hex'))
    try {
      await fetch(input, draft)
      await checkHash(draft, input)
      // A sandbox's user is another one.
      await chmod(draft, 0o644)
      await rename(draft, file)
      return file
    } finally {
      await rm(draft, { force: true })
    }
  }

  async #open(): Promise<void> {
    await rm(join(this.init.folder, 'drafts'), { recursive: true, force: true })
    for (const name of ['drafts', 'files']) await mkdir(join(this.init.folder, name), { recursive: true, mode: 0o700 })
  }
}

/** Shows inputs to a sandbox: a folder for each, with the name it is asked for by, and a list that its runner reads. */
export async function linkInputs(inputs: readonly { input: Input; file: string }[], folder: string): Promise<void> {
  const list = []
  for (const [index, { input, file }] of inputs.entries()) {
    const place = join('inputs', String(index))
    await mkdir(join(folder, place), { recursive: true, mode: 0o755 })
    const name = basename(input.path)
    await linkFile(file, join(folder, place, name))
    list.push({ url: input.url, path: input.path, file: `${SANDBOX_EXTRAS}/${place}/${name}` })
  }
  await Promise.all(
    ['inputs', ...inputs.map((_, index) => join('inputs', String(index)))].map(each => chmod(join(folder, each), 0o755))
  )
  await writeFile(join(folder, 'inputs.json'), JSON.stringify(list))
  await chmod(join(folder, 'inputs.json'), 0o644)
}
