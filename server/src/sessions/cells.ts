import {
  CellChain,
  MAX_SESSION_CELLS,
  PekkaError,
  checkInterrupt,
  contentHash,
  decodeCbor,
  encodeCbor,
  equalBytes,
  sessionCellSchema,
  toHex,
  type CellSubmit,
  type ProviderMessage,
  type RunHeader,
  type SessionCell,
  type SessionCells as Listed,
  type SessionInterrupt,
  type Verifier
} from '@pekka/node/protocol'
import type { DiskSpace } from '../disk.js'
import type { BlobStore, EventLog } from '../eventlog/index.js'
import type { LinkDirectory, ProviderLink } from '../links/index.js'
import type { BlobRefs, GroupWriter, Table, TaskRecord, TaskStore } from '../tasks/index.js'

export interface SessionCellsComponents {
  table: Table
  writer: GroupWriter
  store: TaskStore
  refs: BlobRefs
  blobs: BlobStore
  logs: EventLog
  links: Pick<LinkDirectory, 'of'>
  verifier: Verifier
  disk: DiskSpace
  network: Uint8Array
}

/** One run's cells as this process follows them. */
interface Followed {
  header: RunHeader
  chain: CellChain
  cells: SessionCell[]
  /** How many the provider has, as it said last. */
  taken: number
  /** What is to stop, said last: told again when the provider's link comes up. */
  interrupt: SessionInterrupt | null
}

/** How cells lie in the table: small ones with their sealed bytes. */
interface StoredCell {
  cell: SessionCell
  sealed: Uint8Array | null
}

/**
 * Later cells of sessions (R33): checked against the chain that their delegate signs, on the disk before they are acknowledged, handed to
 * the provider one after the other. What is sealed in them nobody here can open.
 */
export class SessionCells {
  readonly #followed = new Map<string, Followed>()
  /** Work on one session follows one another: a cell is checked against the one before. */
  readonly #turns = new Map<string, Promise<unknown>>()

  constructor(private readonly components: SessionCellsComponents) {}

  /**
   * Takes a cell in; one that is there already is taken again without a change. Resolves when it is on the disk.
   * @returns how many there are now
   * @throws PekkaError TASK_STATE, CELL_REFUSED, BLOB_MISMATCH, BLOB_UNKNOWN, BRIDGE_FULL
   */
  submit(record: TaskRecord, { cell, sealed, parts }: CellSubmit): Promise<number> {
    return this.#inTurn(record.task, async () => {
      await this.components.disk.require('intake')
      const followed = await this.#follow(record)
      if (cell.index > MAX_SESSION_CELLS) throw new PekkaError('CELL_REFUSED', { issue: 'the session is full' })
      await this.#check(record, cell, sealed, parts)
      if (await followed.chain.add(cell)) {
        try {
          await this.#keep(record, followed.header, cell, sealed)
        } catch (error) {
          // The chain has it and the disk hasn't: it is read from there again.
          this.#followed.delete(toHex(record.task))
          throw error
        }
        followed.cells.push(cell)
        this.#tell(this.components.links.of(followed.header.provider), followed, { cell, sealed })
      }
      return followed.cells.length
    })
  }

  /** All cells of the newest run. @throws PekkaError TASK_STATE */
  list(record: TaskRecord): Promise<Listed> {
    return this.#inTurn(record.task, async () => listed(await this.#follow(record)))
  }

  /**
   * A cell is to stop.
   * @returns whether its machine was told; if not, it is when its link is up again and this process still lives
   * @throws PekkaError TASK_STATE, CELL_REFUSED
   */
  interrupt(record: TaskRecord, said: SessionInterrupt): Promise<boolean> {
    return this.#inTurn(record.task, async () => {
      const followed = await this.#follow(record)
      const { attempt, run, provider } = followed.header
      const binding = { network: this.components.network, task: record.task, attempt, run }
      await checkInterrupt(said, binding, record.lane, this.components.verifier)
      followed.interrupt = said
      const link = this.components.links.of(provider)
      link?.tell({ kind: 'interrupt', interrupt: said })
      return link !== undefined
    })
  }

  /** A provider has said how many of its session's cells it has: the next one goes to it. */
  taken(link: ProviderLink, said: Extract<ProviderMessage, { kind: 'cells' }>): Promise<void> {
    return this.#inTurn(said.task, async () => {
      const { store } = this.components
      const record = store.live(said.task) ?? (await store.get(said.task))
      if (record === null || isOver(record)) return
      const followed = await this.#follow(record)
      const { header } = followed
      const same = header.attempt === said.attempt && header.run === said.run
      if (!same || !equalBytes(header.provider, link.provider)) return
      followed.taken = said.count
      if (followed.interrupt !== null) link.tell({ kind: 'interrupt', interrupt: followed.interrupt })
      const next = followed.cells[said.count]
      if (next === undefined) return
      const stored = await this.components.table.get(keyOf(header, next.index))
      if (stored !== undefined) this.#tell(link, followed, decodeStored(stored))
    })
  }

  /** The task has ended: nobody asks for its cells any more. */
  async done(task: Uint8Array): Promise<void> {
    await this.#inTurn(task, async () => {
      this.#followed.delete(toHex(task))
      const { table, writer } = this.components
      const keys: string[] = []
      for await (const [key] of table.iterator({ gte: prefixOf(task), lt: `${prefixOf(task)}~` })) keys.push(key)
      writer.writeLazily(keys.map(key => ({ type: 'del' as const, key })))
    })
  }

  /** Resolves once everything given so far is written. */
  async settled(): Promise<void> {
    await Promise.all(this.#turns.values())
    await this.components.writer.settled()
  }

  #tell(link: ProviderLink | undefined, followed: Followed, { cell, sealed }: StoredCell): void {
    // Before it has the ones before it would refuse this one; it asks for it when it has.
    if (cell.index === followed.taken + 1) link?.tell({ kind: 'cell', cell, sealed })
  }

  async #check(
    { account, task }: TaskRecord,
    cell: SessionCell,
    sealed: Uint8Array | null,
    parts: CellSubmit['parts']
  ): Promise<void> {
    const { blobs, refs } = this.components
    for (const { hash, size } of parts)
      if ((await blobs.size(account, hash)) !== size) throw new PekkaError('BLOB_UNKNOWN')
    if (sealed === null) {
      if ((await blobs.size(account, cell.hash)) !== cell.size) throw new PekkaError('BLOB_UNKNOWN')
    } else if (sealed.length !== cell.size || !equalBytes(contentHash(sealed), cell.hash)) {
      throw new PekkaError('BLOB_MISMATCH')
    }
    const hashes = [...parts.map(({ hash }) => hash), ...(sealed === null ? [cell.hash] : [])]
    await refs.addAll(account, task, hashes, true)
  }

  async #keep({ task }: TaskRecord, header: RunHeader, cell: SessionCell, sealed: Uint8Array | null): Promise<void> {
    const value = encodeCbor({ cell, sealed } satisfies StoredCell)
    await this.components.writer.write([{ type: 'put', key: keyOf({ ...header, task }, cell.index), value }])
  }

  /** The cells of the newest run, read from the disk where this process hasn't seen them yet. @throws PekkaError TASK_STATE */
  async #follow(record: TaskRecord): Promise<Followed> {
    const { task, lane, view } = record
    const wrong = (state: string): PekkaError => new PekkaError('TASK_STATE', { state, body: 'cell' })
    if (view === null) throw wrong(record.bridge)
    if (view.offer.session === null || (view.state !== 'running' && view.state !== 'offered')) throw wrong(view.state)
    const header = await this.components.logs.use(task, async log => log.runs().at(-1)?.header)
    if (header === undefined) throw wrong(view.state)
    const known = this.#followed.get(toHex(task))
    if (known !== undefined && equalBytes(known.header.runKey, header.runKey)) return known
    const { attempt, run } = header
    const binding = { network: this.components.network, task, attempt, run }
    const chain = new CellChain(binding, lane, this.components.verifier)
    const followed: Followed = { header, chain, cells: [], taken: 0, interrupt: null }
    const prefix = runPrefix(header)
    // One that is still being written isn't read, so nothing may be under way.
    await this.components.writer.write([])
    for await (const [, value] of this.components.table.iterator({ gte: prefix, lt: `${prefix}~` })) {
      const { cell } = decodeStored(value)
      await chain.add(cell)
      followed.cells.push(cell)
    }
    this.#followed.set(toHex(task), followed)
    return followed
  }

  #inTurn<T>(task: Uint8Array, work: () => Promise<T>): Promise<T> {
    const name = toHex(task)
    const turn = (this.#turns.get(name) ?? Promise.resolve()).then(work)
    const settled = turn.then(
      () => undefined,
      () => undefined
    )
    this.#turns.set(name, settled)
    void settled.then(() => {
      if (this.#turns.get(name) === settled) this.#turns.delete(name)
    })
    return turn
  }
}

const listed = ({ header: { attempt, run }, cells }: Followed): Listed => ({ attempt, run, cells })

const isOver = ({ view }: TaskRecord): boolean =>
  view === null || view.offer.session === null || (view.state !== 'running' && view.state !== 'offered')

// This process wrote it; signature and place are checked again as the chain is followed.
function decodeStored(bytes: Uint8Array): StoredCell {
  const { cell, sealed } = decodeCbor(bytes) as StoredCell
  return { cell: sessionCellSchema.parse(cell), sealed }
}

const prefixOf = (task: Uint8Array): string => `cell/${toHex(task)}/`
const runPrefix = ({ task, attempt, run }: Pick<RunHeader, 'task' | 'attempt' | 'run'>): string =>
  `${prefixOf(task)}${attempt}.${run}/`
const keyOf = (run: Pick<RunHeader, 'task' | 'attempt' | 'run'>, index: number): string =>
  runPrefix(run) + index.toString().padStart(6, '0')
