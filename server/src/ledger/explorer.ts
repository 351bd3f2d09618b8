import {
  PekkaError,
  blockMessage,
  decodeCertificate,
  detailOf,
  equalBytes,
  fromHex,
  isPekkaError,
  placedIn,
  quorumOf,
  summaryOf,
  toHex,
  writePlace,
  type AccountItem,
  type AccountPage,
  type BlockPage,
  type CheckpointPage,
  type CommitDetail,
  type CommitPage,
  type CommitView,
  type CommittedBlocks,
  type DagWindow,
  type HistoryQuery,
  type LedgerAccess,
  type ImagePage,
  type LedgerPlace,
  type LedgerTaskPage,
  type OpenBody,
  type TaskState,
  type TaskView,
  type TransactionDetail,
  type TransactionPage,
  type WitnessPage
} from '@pekka/node/protocol'

export interface ExplorerComponents {
  ledger: LedgerAccess
}

export interface TransactionFilter {
  account: Uint8Array | null
  task: Uint8Array | null
  kind: OpenBody | null
}

export interface TaskFilter {
  account: Uint8Array | null
  provider: Uint8Array | null
  state: TaskState | null
}

export interface BlockFilter {
  /** Block key of its author. */
  witness: Uint8Array | null
  epoch: number | null
}

/** What a witness of the list is: in this epoch's committee; staked on, without a seat in it; one that signed two blocks for a round. */
export const WITNESS_STATES = ['seated', 'waiting', 'equivocated'] as const
export type WitnessState = (typeof WITNESS_STATES)[number]

/** Tasks that a page of tasks reads before it ends. */
const MAX_TASKS_LOOKED_AT = 512

/** Bodies by which tasks come to be. */
const TASK_BODIES: OpenBody[] = ['offer']

/**
 * The ledger as it is shown to people: what a witness tells of the past and of now, in the shapes of core/protocol/wire/explorer.ts. It keeps
 * nothing; every page is asked for anew.
 */
export class LedgerExplorer {
  constructor(
    private readonly components: ExplorerComponents,
    private readonly init: { network: Uint8Array }
  ) {}

  async commits(before: number | null, limit: number): Promise<CommitPage> {
    if (before === 0) return { first: 0, commits: [], next: null }
    const { first, commits, large = [] } = await this.#commitsFrom(before === null ? LAST : before - 1, limit)
    const seen = [...commits.map(({ header }) => header.index), ...large.map(({ index }) => index)]
    const last = seen.length === 0 ? undefined : Math.min(...seen)
    return {
      ...(large.length > 0 && { large }),
      first,
      commits: commits.map(({ header, transactions, tasks, asks, accounts }) => ({
        id: blockMessage(this.init.network, header),
        header,
        transactions: transactions.length,
        tasks: tasks.length,
        asks: asks.length,
        accounts: accounts.length
      })),
      next: last === undefined || last <= first ? null : String(last)
    }
  }

  /** @throws PekkaError NOT_ON_LEDGER, HISTORY_PRUNED, COMMIT_TOO_LARGE */
  async commit(index: number): Promise<CommitDetail> {
    const commit = await this.#commitAt(index)
    if (commit === null) return await this.#missing(`commit ${index}`, index)
    const { header, tasks, asks, accounts } = commit
    return {
      id: blockMessage(this.init.network, header),
      header,
      transactions: placedIn(commit).map(summaryOf),
      tasks: tasks.map(({ task }) => task),
      asks,
      accounts
    }
  }

  async transactions(filter: TransactionFilter, before: LedgerPlace | null, limit: number): Promise<TransactionPage> {
    const { account, task, kind } = filter
    if (task !== null) return await this.#transactionsOf(task, filter, before, limit)
    const query = { account, kinds: kind === null ? null : [kind], before, count: limit }
    const page = await this.components.ledger.history({ kind: 'transactions', query })
    return { first: page.first, transactions: page.transactions.map(summaryOf), next: cursorOf(page.next) }
  }

  /** Those that moved a task, newest first: its view names them, oldest first. */
  async #transactionsOf(
    task: Uint8Array,
    { account, kind }: TransactionFilter,
    before: LedgerPlace | null,
    limit: number
  ): Promise<TransactionPage> {
    const view = await this.components.ledger.task(task)
    if (view === null) return await this.#missing(`task ${toHex(task)}`)
    const page: TransactionPage = { first: 0, transactions: [], next: null }
    for (const id of view.transactions.toReversed()) {
      const found = await this.transaction(id).catch((error: unknown) => {
        if (isPekkaError(error) && error.code === 'HISTORY_PRUNED') return Number(error.data['first'])
        throw error
      })
      // All before it are gone too.
      if (typeof found === 'number') return { ...page, first: found }
      if (before !== null && !isBefore(found.place, before)) continue
      if (kind !== null && found.kind !== kind) continue
      if (account !== null && toHex(found.account) !== toHex(account)) continue
      const last = page.transactions.at(-1)
      if (page.transactions.length >= limit && last !== undefined) return { ...page, next: writePlace(last.place) }
      page.transactions.push(found)
    }
    return page
  }

  /** @throws PekkaError NOT_ON_LEDGER, HISTORY_PRUNED, COMMIT_TOO_LARGE */
  async transaction(id: Uint8Array): Promise<TransactionDetail> {
    const found = await this.components.ledger.transaction(id)
    const commit =
      found === null || found.outcome.status === 'refused' ? null : await this.#commitAt(found.outcome.index)
    const placed = (commit === null ? [] : placedIn(commit)).find(({ outcome }) => toHex(outcome.id) === toHex(id))
    if (placed === undefined) return await this.#missing(`transaction ${toHex(id)}`)
    return detailOf(placed)
  }

  async accounts(after: Uint8Array | null, limit: number): Promise<AccountPage> {
    const query = { after, count: limit }
    const { accounts, next } = await this.components.ledger.history({ kind: 'accounts', query })
    return {
      accounts: accounts.map(({ opened: _opened, ...account }) => account),
      next: next === null ? null : toHex(next)
    }
  }

  async images(name: string | null, after: Uint8Array | null, limit: number): Promise<ImagePage> {
    const query = { name, after, count: limit }
    const { images, next } = await this.components.ledger.history({ kind: 'images', query })
    return { images, next: next === null ? null : toHex(next) }
  }

  /** @throws PekkaError ACCOUNT_UNKNOWN */
  async account(id: Uint8Array): Promise<AccountItem> {
    const view = await this.components.ledger.account(id)
    if (view === null) throw new PekkaError('ACCOUNT_UNKNOWN', { account: toHex(id) })
    // Its delegates, as the row counts them; lane 0 isn't one.
    return { ...view, lanes: view.lanes.filter(({ key }) => key !== null).length }
  }

  /**
   * An offer's tasks are never cut in two, so a page may be longer than `limit`. It may be shorter too, and empty, though more follow: it
   * looks at MAX_TASKS_LOOKED_AT tasks and somewhat more, however rare those are that match.
   */
  async tasks(filter: TaskFilter, from: LedgerPlace | null, limit: number): Promise<LedgerTaskPage> {
    const { ledger } = this.components
    const kinds: OpenBody[] = filter.provider === null ? TASK_BODIES : ['accept']
    const query = { account: filter.provider ?? filter.account, kinds, before: from, count: limit }
    const page = await ledger.history({ kind: 'transactions', query })
    const tasks: TaskView[] = []
    const seen = new Set<string>()
    let looked = 0
    const matches = ({ state, account }: TaskView): boolean =>
      (filter.state === null || state === filter.state) &&
      (filter.account === null || toHex(account) === toHex(filter.account))
    for (const placed of page.transactions) {
      const { code, tasks: ids, place } = summaryOf(placed)
      if (code !== null) continue
      // A machine may have accepted a task more than once.
      const fresh = ids.filter(id => !seen.has(toHex(id)))
      for (const id of fresh) seen.add(toHex(id))
      looked += fresh.length
      const views = await Promise.all(fresh.map(id => ledger.task(id)))
      tasks.push(...views.filter(view => view !== null).filter(matches))
      if (tasks.length >= limit || looked >= MAX_TASKS_LOOKED_AT)
        return { first: page.first, tasks, next: writePlace(place) }
    }
    return { first: page.first, tasks, next: cursorOf(page.next) }
  }

  /** @throws PekkaError NOT_ON_LEDGER, HISTORY_PRUNED */
  async task(id: Uint8Array): Promise<TaskView> {
    const view = await this.components.ledger.task(id)
    if (view === null) return await this.#missing(`task ${toHex(id)}`)
    return view
  }

  /** Those of as many commits as `limit` says, so that a page may be empty though more follow. */
  async blocks(beforeCommit: number | null, limit: number, filter: BlockFilter = ANY_BLOCK): Promise<BlockPage> {
    const { ledger } = this.components
    const last = (await ledger.time()).index
    const to = Math.min(last, (beforeCommit ?? Infinity) - 1)
    if (to < 0) return { first: 0, blocks: [], next: null }
    const from = Math.max(0, to - limit + 1)
    const { first, commits } = await this.#blocksBetween(from, to)
    const matches = ({ witness, epoch }: BlockPage['blocks'][number]): boolean =>
      (filter.witness === null || equalBytes(witness, filter.witness)) &&
      (filter.epoch === null || epoch === filter.epoch)
    const blocks = commits.toReversed().flatMap(itemsOf).filter(matches)
    return { first, blocks, next: from <= first ? null : String(from) }
  }

  async checkpoints(beforeCommit: number | null, limit: number): Promise<CheckpointPage> {
    const query = { before: beforeCommit, count: limit }
    const page = await this.components.ledger.history({ kind: 'checkpoints', query })
    const checkpoints = page.certificates.map(bytes => {
      const { checkpoint, signers } = decodeCertificate(bytes)
      const { v: _v, network: _network, ...rest } = checkpoint
      return { ...rest, signers: markedIn(signers) }
    })
    return { checkpoints, next: page.next === null ? null : String(page.next) }
  }

  async witnesses(after: Uint8Array | null, limit: number, state: WitnessState | null = null): Promise<WitnessPage> {
    const query = { after, count: limit }
    const page = await this.components.ledger.history({ kind: 'witnesses', query })
    const stake = page.committee.reduce((sum, member) => sum + member.stake, 0n)
    const seats = new Map(page.committee.map(({ key, stake: own }, author) => [toHex(key), { author, stake: own }]))
    const staked = new Map(
      page.staked.map(({ key, account, stake: own, epochs }) => [toHex(key), { account, stake: own, epochs }])
    )
    // The witness pages those who are staked, by key; who has a seat stands on the page where its own key belongs, staked or not.
    const [low, high] = [after === null ? '' : toHex(after), page.next === null ? null : toHex(page.next)]
    const named = new Set([...seats.keys(), ...staked.keys()])
    return {
      epoch: page.epoch,
      stake,
      quorum: quorumOf(page.committee.map(({ key, stake: own }) => [key, own])),
      witnesses: [...named]
        .filter(key => key > low && (high === null || key <= high))
        .sort()
        .map(key => ({
          key: fromHex(key),
          seat: seats.get(key) ?? null,
          staked: staked.get(key) ?? null,
          equivocated: page.equivocated
            .filter(each => toHex(each.key) === key)
            .map(({ epoch, round, blocks }) => ({ epoch, round, blocks }))
        }))
        .filter(witness => state === null || IS[state](witness)),
      next: page.next === null ? null : toHex(page.next)
    }
  }

  /** @throws PekkaError NOT_ON_LEDGER, HISTORY_PRUNED */
  async evidence(query: HistoryQuery<'evidence'>): Promise<{ evidence: Uint8Array }> {
    const { evidence } = await this.components.ledger.history({ kind: 'evidence', query })
    const { witness, epoch, round } = query
    const what = `evidence against witness ${toHex(witness)} in round ${round} of epoch ${epoch}`
    if (evidence === null) throw new PekkaError('NOT_ON_LEDGER', { what })
    return { evidence }
  }

  async dag(to: number | null, count: number): Promise<DagWindow> {
    const page = await this.#commitsFrom(to ?? LAST, count)
    const commits = page.commits.toReversed()
    const from = commits[0]?.header.index ?? 0
    const last = commits.at(-1)?.header.index ?? -1
    const brought = last < from ? [] : (await this.#blocksBetween(from, last)).commits
    const byCommit = new Map(brought.map(one => [one.index, one]))
    return {
      v: 1,
      network: this.init.network,
      from,
      to: last,
      first: page.first,
      commits: commits.map(({ header, transactions }) => {
        const { index, timestamp, contractTime } = header
        const own = byCommit.get(index)
        return {
          index,
          timestamp,
          contractTime,
          epoch: own?.epoch ?? null,
          leader: own?.leader ?? null,
          blocks: own?.blocks.map(({ id }) => id) ?? [],
          transactions: transactions.map(({ outcome }) => outcome.id)
        }
      }),
      blocks: brought.flatMap(itemsOf),
      transactions: commits.flatMap(commit => placedIn(commit).map(summaryOf))
    }
  }

  /** Ascending; the witness may answer in several pages. */
  async #blocksBetween(from: number, to: number): Promise<{ first: number; commits: CommittedBlocks[] }> {
    const commits: CommittedBlocks[] = []
    let first = 0
    for (let next = from; next <= to;) {
      const page = await this.components.ledger.history({ kind: 'blocks', query: { from: next, to } })
      first = page.first
      commits.push(...page.commits)
      const last = page.commits.at(-1)?.index
      if (last === undefined) break
      next = last + 1
    }
    return { first, commits }
  }

  async #commitsFrom(from: number, count: number) {
    return await this.components.ledger.history({ kind: 'commits', query: { from, count, ascending: false } })
  }

  /**
   * What isn't there: there never was such a thing, or it is older than what the witness keeps, which nobody can tell apart by an id.
   * @throws PekkaError NOT_ON_LEDGER; HISTORY_PRUNED where it may be or is older
   */
  async #missing(what: string, commit = -1): Promise<never> {
    const { first } = await this.#commitsFrom(LAST, 1)
    const older = first > 0 && commit < first
    throw older ? new PekkaError('HISTORY_PRUNED', { what, first }) : new PekkaError('NOT_ON_LEDGER', { what })
  }

  /** @throws PekkaError COMMIT_TOO_LARGE */
  async #commitAt(index: number): Promise<CommitView | null> {
    const { commits, large = [] } = await this.#commitsFrom(index, 1)
    const tooLarge = large.find(one => one.index === index)
    if (tooLarge !== undefined) throw new PekkaError('COMMIT_TOO_LARGE', { ...tooLarge })
    return commits[0]?.header.index === index ? commits[0] : null
  }
}

const ANY_BLOCK: BlockFilter = { witness: null, epoch: null }

const IS: Record<WitnessState, (witness: WitnessPage['witnesses'][number]) => boolean> = {
  seated: ({ seat }) => seat !== null,
  waiting: ({ seat, staked }) => seat === null && staked !== null,
  equivocated: ({ equivocated }) => equivocated.length > 0
}

/** Beyond every commit. */
const LAST = Number.MAX_SAFE_INTEGER

const cursorOf = (place: LedgerPlace | null): string | null => (place === null ? null : writePlace(place))

const isBefore = (a: LedgerPlace, b: LedgerPlace): boolean =>
  a.index < b.index || (a.index === b.index && a.position < b.position)

const itemsOf = ({ index, leader, blocks }: CommittedBlocks): BlockPage['blocks'] =>
  blocks.map(block => ({ ...block, commit: index, leader: toHex(block.id) === toHex(leader) }))

/** Places of the bits that are set, most significant of the first byte first. */
const markedIn = (marks: Uint8Array): number[] =>
  [...marks].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter(bit => (byte >> (7 - bit)) & 1).map(bit => at * 8 + bit)
  )
