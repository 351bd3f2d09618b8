import type { ISessionContext } from '@jupyterlab/apputils'
import type { Kernel } from '@jupyterlab/services'
import { PekkaError, asPekkaError, concat, toHex } from '@pekka/node/protocol'
import type { TaskFollower } from '@pekka/node/client'
import { z } from 'zod'
import { Delivery, PIECE_BYTES } from './delivery.js'
import { openKernel, type KernelDoor } from './kernel.js'
import { comes, expected, type ReturnSource, type ReturnedValue } from './returns.js'

/** The comm target by which `pekka.get` in a cell asks this page (extension/kernel/pekka.py). */
const TARGET = 'pekka'
/** Values up to this size come together, up to a piece at a time. */
const SMALL_BYTES = 32 << 10
/** What the kernel starts waits for 120 s, and one is enough. */
const EXPECT_EVERY_MS = 60_000
/** So long a page that can't reach the notebook's runs leaves the answer to others; a cell waits for it 20 s (_TAKEN_SECONDS there). */
const STRANGER_WAITS_MS = 2_000

const askedSchema = z.discriminatedUnion('op', [
  z.object({ op: z.literal('get'), id: z.string().max(64), name: z.string().max(256) }),
  z.object({ op: z.literal('list'), id: z.string().max(64) })
])

/** What the kernel holds the bytes against that it was handed: it hashes in a tenth of a page's time. */
const hashOf = ({ hash }: ReturnedValue): string | null => (hash === undefined ? null : toHex(hash))

/** A value towards the kernel, without what only this page needs. */
const rowOf = (value: ReturnedValue) => ({
  ...{ name: value.name, type: value.type, look: value.look, size: value.size },
  codec: comes(value) ? value.codec : null,
  reason: comes(value) ? null : (value.reason ?? 'it takes more than may come back')
})

export interface DeskComponents {
  session: ISessionContext
  /** The notebook's remote runs. */
  sources: () => readonly ReturnSource[]
}

/** Brings values of a notebook's remote runs into its kernel: when a cell there asks, or when the page is told to. */
export class ReturnDesk {
  #kernel: Kernel.IKernelConnection | null = null
  #restarted = false
  #disposed = false
  /** When the kernel was last told that values are to come. */
  #expected = -Infinity

  constructor(private readonly components: DeskComponents) {
    const { session } = components
    session.kernelChanged.connect(this.#onKernel, this)
    session.statusChanged.connect(this.#onStatus, this)
    this.#onKernel()
  }

  dispose(): void {
    this.#disposed = true
    this.components.session.kernelChanged.disconnect(this.#onKernel, this)
    this.components.session.statusChanged.disconnect(this.#onStatus, this)
    this.#kernel = null
  }

  /** Values are on their way that will be asked for: a free kernel starts what reads them, so that they don't wait for it. */
  expect(): void {
    const kernel = this.components.session.session?.kernel ?? null
    const now = performance.now()
    if (kernel?.status !== 'idle' || now - this.#expected < EXPECT_EVERY_MS) return
    this.#expected = now
    void openKernel(kernel)
      .then(door => door.call('returns.expect', [[]]).finally(() => door.dispose()))
      .catch((error: unknown) => console.debug('The kernel took no word of values to come', error))
  }

  /** Binds all values of a run that can come. @returns a sentence for people */
  async bring(source: ReturnSource): Promise<string> {
    const kernel = this.components.session.session?.kernel ?? null
    if (kernel === null) return 'No kernel runs here that could take the values.'
    const loaded = await source.load()
    const values = loaded === null ? [] : expected(loaded.values, source.names)
    if (loaded === null || !values.some(comes)) return 'There are no values that could come.'
    const here: string[] = []
    const issues: string[] = []
    const door = await openKernel(kernel)
    try {
      const tell = (name: string, issue: string | null): void => {
        if (issue === null) here.push(name)
        else issues.push(new PekkaError('VALUE_REFUSED', { name, issue }).message)
      }
      for (const some of batches(values.filter(isSmall))) {
        const told = await this.#bindAll(door, loaded.follower, some)
        for (const [index, { name }] of some.entries()) tell(name, told[index] ?? null)
      }
      for (const value of values.filter(found => comes(found) && !isSmall(found))) {
        const id = crypto.randomUUID()
        await deliver(door, loaded.follower, id, value)
        tell(value.name, issueOf(await door.call('returns.bind', [id, value.name, value.codec, hashOf(value)])))
      }
    } finally {
      door.dispose()
    }
    const brought = here.length === 0 ? [] : [`In your kernel now: ${here.join(', ')}`]
    return [...brought, ...issues].map(text => (text.endsWith('.') ? text : `${text}.`)).join(' ')
  }

  /** Small values as one, so that the kernel starts one process to read them. */
  async #bindAll(
    door: KernelDoor,
    follower: Pick<TaskFollower, 'open'>,
    values: readonly ReturnedValue[]
  ): Promise<(string | null)[]> {
    expect(door, values)
    const bodies = await Promise.all(values.map(value => bytesOf(follower, value)))
    const id = crypto.randomUUID()
    await door.call('returns.part', [id, concat(...bodies), true])
    const entries = values.map(({ name, codec }, index) => [name, codec, bodies[index]?.length])
    const answer = await door.call('returns.bind_all', [id, entries])
    return z.object({ issues: z.array(z.string().nullable()) }).parse('json' in answer ? answer.json : null).issues
  }

  #onKernel(): void {
    const kernel = this.components.session.session?.kernel ?? null
    if (kernel === this.#kernel) return
    this.#kernel = kernel
    if (kernel !== null) void this.#greet(kernel)
  }

  /** A kernel that was restarted has forgotten the helper. */
  #onStatus(_: ISessionContext, status: Kernel.Status): void {
    if (status === 'restarting' || status === 'autorestarting') this.#restarted = true
    if (status !== 'idle' || !this.#restarted || this.#kernel === null) return
    this.#restarted = false
    void this.#greet(this.#kernel)
  }

  async #greet(kernel: Kernel.IKernelConnection): Promise<void> {
    try {
      const { language_info } = await kernel.info
      if (language_info.name !== 'python' || this.#disposed) return
      // Returns at once: the kernel's messages wait for whoever answers here.
      kernel.registerCommTarget(TARGET, (_, message) => void this.#answer(kernel, message.content.data))
      const door = await openKernel(kernel)
      try {
        await door.call('returns.ready', [kernel.supportsSubshells])
      } finally {
        door.dispose()
      }
    } catch (error) {
      // It ended meanwhile, or has no IPython: then nobody asks there.
      console.debug('The kernel has no helper for values', error)
    }
  }

  async #answer(kernel: Kernel.IKernelConnection, data: unknown): Promise<void> {
    const asked = askedSchema.safeParse(data)
    if (!asked.success) return
    const { id } = asked.data
    try {
      const door = await openKernel(kernel)
      try {
        if (await this.#isStranger(asked.data)) await new Promise(resolve => setTimeout(resolve, STRANGER_WAITS_MS))
        const first = await door.call('returns.claim', [id])
        if (!('json' in first) || first.json !== true) return
        const said = await this.#find(door, asked.data).catch((error: unknown) => ({
          issue: asPekkaError(error).message
        }))
        await door.call('returns.settle', [id, said])
      } finally {
        door.dispose()
      }
    } catch (error) {
      console.warn('A cell asked for a value, and the kernel took no answer', error)
    }
  }

  /** Whether other pages may know the runs that were asked for, which share the notebook, and this one can reach none of them. */
  async #isStranger(asked: z.infer<typeof askedSchema>): Promise<boolean> {
    const sources = this.#sourcesFor(asked)
    if (sources.length === 0) return false
    const reached = async (): Promise<boolean> => {
      for (const source of sources) if (await source.reached()) return true
      return false
    }
    let timer: ReturnType<typeof setTimeout> | undefined
    // Where the network doesn't answer, the cell is to hear that.
    const patience = new Promise<boolean>(resolve => (timer = setTimeout(() => resolve(true), STRANGER_WAITS_MS)))
    return !(await Promise.race([reached(), patience]).finally(() => clearTimeout(timer)))
  }

  /** The runs that may have what is asked for, the newest first. */
  #sourcesFor(asked: z.infer<typeof askedSchema>): ReturnSource[] {
    const sources = [...this.components.sources()].sort((a, b) => b.submitted - a.submitted)
    return asked.op === 'list' ? sources : sources.filter(({ names }) => names.has(asked.name))
  }

  /** What a request is answered with; the bytes of a value are in the kernel by then. */
  async #find(door: KernelDoor, asked: z.infer<typeof askedSchema>): Promise<object> {
    const sources = this.#sourcesFor(asked)
    if (asked.op === 'list') {
      const rows = new Map<string, ReturnType<typeof rowOf>>()
      for (const source of sources) {
        // One whose output is gone has none to list.
        const loaded = await source.load().catch(() => null)
        for (const value of expected(loaded?.values ?? [], source.names))
          if (!rows.has(value.name)) rows.set(value.name, rowOf(value))
      }
      return { values: [...rows.values()] }
    }
    const failed: unknown[] = []
    for (const source of sources) {
      // Another browser's, or one whose output is gone: an older one may have it.
      const loaded = await source.load().catch((error: unknown) => {
        failed.push(error)
        return null
      })
      const value = expected(loaded?.values ?? [], source.names).find(({ name }) => name === asked.name)
      if (loaded === null || value === undefined) continue
      if (comes(value)) await deliver(door, loaded.follower, asked.id, value)
      return { row: { ...rowOf(value), hash: hashOf(value) } }
    }
    if (failed.length > 0) throw asPekkaError(failed[0])
    return {
      issue: `No remote run of this notebook has brought back ${asked.name}. A cell that assigns it must have run remotely, with the setting “Values that remote cells assign” not at “never”.`
    }
  }
}

/** Whether a value may come together with others: so small, and by a codec that is read in a moment. */
const isSmall = (value: ReturnedValue): boolean =>
  comes(value) && value.size > 0 && value.size <= SMALL_BYTES && ['json', 'npy', 'text'].includes(value.codec ?? '')

function batches(values: readonly ReturnedValue[]): ReturnedValue[][] {
  const all: ReturnedValue[][] = []
  let bytes = Infinity
  for (const value of values) {
    if (bytes + value.size > PIECE_BYTES) {
      all.push([])
      bytes = 0
    }
    all.at(-1)?.push(value)
    bytes += value.size
  }
  return all
}

async function bytesOf(follower: Pick<TaskFollower, 'open'>, value: ReturnedValue): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of follower.open(value)) parts.push(part)
  return concat(...parts)
}

/** Has the kernel start what reads values of these codecs, while their bytes are on the way. */
function expect(door: KernelDoor, values: readonly ReturnedValue[]): void {
  const codecs = new Set(values.flatMap(({ codec }) => codec ?? []))
  // Where it fails, the first piece tells why.
  door.call('returns.expect', [[...codecs]]).catch(() => undefined)
}

/** Hands a value's bytes to the kernel, piece by piece as they are opened; it holds all of them against their hash. @throws PekkaError */
async function deliver(
  door: KernelDoor,
  follower: Pick<TaskFollower, 'open'>,
  id: string,
  value: ReturnedValue
): Promise<void> {
  expect(door, [value])
  const delivery = new Delivery(door, id)
  for await (const part of follower.open(value, false)) await delivery.add(part)
  await delivery.end()
}

const issueSchema = z.object({ issue: z.string().nullable() })
const issueOf = (answer: Awaited<ReturnType<KernelDoor['call']>>): string | null =>
  issueSchema.parse('json' in answer ? answer.json : { issue: 'it gave no answer' }).issue
