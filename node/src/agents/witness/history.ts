import {
  blockMessage,
  commitViewSchema,
  concerns,
  decodeCanonical,
  decodeSigned,
  MAX_HISTORY_COMMITS,
  placedIn,
  toHex,
  type CommitView,
  type CommittedBlocks,
  type CommitteeMembers,
  type EquivocationSummary,
  type HistoryPage,
  type HistoryQuery,
  type HistoryRequest,
  type ImageRow,
  type LargeCommit,
  type LedgerPlace,
  type PlacedTransaction
} from '@pekka/node/protocol'
import { scan, type Reader } from '@pekka/node/ledger'
import { LEDGER_MESSAGE_BYTES } from '@pekka/node/host/network'
import type { LedgerStore } from '@pekka/node/host/storage'
import { HISTORY_PAGE_BYTES, MAX_BLOCK_IDS, MAX_COMMITS_LOOKED_AT } from './constants.js'

/** Blocks and committee, where a committee decides; the network's own matter (network/block-history.ts). */
export interface DecidingHistory {
  /**
   * The blocks that a commit brought into the order, and how many bytes were read for that; null: they are gone, blocks are kept for a
   * few epochs only.
   */
  blocksOf(commit: number): Promise<ReadBlocks | null>
  /** The first commit whose blocks may still be here. */
  firstBlocks(): Promise<number>
  /** Who decides now. */
  committee(): Promise<{ epoch: number; members: CommitteeMembers }>
  /** Equivocations that there is evidence of, the oldest first; and such evidence itself. */
  equivocated(): readonly EquivocationSummary[]
  evidence(query: HistoryQuery<'evidence'>): Promise<Uint8Array | null>
}

export interface ReadBlocks {
  commit: CommittedBlocks
  bytes: number
}

export interface LedgerHistoryComponents {
  store: Pick<LedgerStore, 'last' | 'first' | 'commit' | 'changesOf' | 'indexedFrom' | 'checkpointBefore'>
  /** The state after the last stored commit. */
  state: () => Reader
  /** Where a committee decides; else the ledger's commits are the blocks of its one witness. */
  deciding?: DecidingHistory
}

export interface LedgerHistoryInit {
  network: Uint8Array
  /** The genesis' witnesses with their stakes. */
  members: CommitteeMembers
}

/**
 * The past of a ledger, a page at a time (core/protocol/wire/history.ts). A page reads a bounded number of commits, whatever is asked: where more
 * would have to be read it ends early and says where to go on.
 */
export class LedgerHistory {
  constructor(
    private readonly components: LedgerHistoryComponents,
    private readonly init: LedgerHistoryInit
  ) {}

  /** One page. It has the shape of HISTORY[what.kind].page. */
  async page(what: HistoryRequest): Promise<HistoryPage<HistoryRequest['kind']>> {
    switch (what.kind) {
      case 'commits':
        return await this.#commits(what.query)
      case 'transactions':
        return await this.#transactions(what.query)
      case 'accounts':
        return await this.#accounts(what.query)
      case 'images':
        return await this.#images(what.query)
      case 'checkpoints':
        return await this.#checkpoints(what.query)
      case 'blocks':
        return await this.#blocks(what.query)
      case 'witnesses':
        return await this.#witnesses(what.query)
      case 'evidence':
        return { evidence: (await this.components.deciding?.evidence(what.query)) ?? null }
    }
  }

  async #commits({ from, count, ascending }: HistoryQuery<'commits'>): Promise<HistoryPage<'commits'>> {
    const { store } = this.components
    const first = await store.first()
    const commits: CommitView[] = []
    const large: LargeCommit[] = []
    let bytes = 0
    for (let index = ascending ? Math.max(from, first) : Math.min(from, store.last()); ; index += ascending ? 1 : -1) {
      if (commits.length + large.length >= count || index < first || index > store.last()) break
      const read = await this.#read(index)
      if (read === null) {
        // Deleted meanwhile. Upwards there may be later ones.
        if (!ascending) break
        index = Math.max(index, (await store.first()) - 1)
        continue
      }
      bytes += read.bytes
      if (commits.length + large.length > 0 && bytes > HISTORY_PAGE_BYTES) break
      if (read.bytes > LARGEST_SHOWN) large.push({ index, size: read.bytes })
      else commits.push(read.commit)
    }
    // Who knows nothing of it reads all other pages as before.
    return { first, commits, ...(large.length > 0 && { large }) }
  }

  async #transactions(query: HistoryQuery<'transactions'>): Promise<HistoryPage<'transactions'>> {
    const { store } = this.components
    const { account, count } = query
    const kinds = query.kinds === null ? null : new Set<string>(query.kinds)
    const oldest = await store.first()
    const first = account === null ? oldest : Math.max(oldest, store.indexedFrom())
    const end: LedgerPlace = query.before ?? { index: store.last() + 1, position: 0 }
    const transactions: PlacedTransaction[] = []
    const page = (next: LedgerPlace | null): HistoryPage<'transactions'> => ({ first, transactions, next })
    let looked = 0
    let bytes = 0
    let shown = 0
    for await (const index of this.#commitsFor(account, end, first)) {
      // What comes next begins below the whole commit: nothing of it has been looked at.
      if (looked >= MAX_COMMITS_LOOKED_AT || bytes > HISTORY_PAGE_BYTES) return page({ index: index + 1, position: 0 })
      const read = await this.#read(index)
      // Deleted meanwhile, and all before it.
      if (read === null) break
      const { commit } = read
      looked += 1
      bytes += read.bytes
      for (const placed of placedIn(commit).toReversed()) {
        if (index === end.index && placed.place.position >= end.position) continue
        const { transaction } = decodeSigned(placed.bytes)
        if (kinds !== null && !kinds.has(transaction.body.kind)) continue
        if (account !== null && !concerns(transaction, placed.outcome, account)) continue
        transactions.push(placed)
        shown += placed.bytes.length
        if (transactions.length >= count || shown > HISTORY_PAGE_BYTES) return page(placed.place)
      }
    }
    return page(null)
  }

  /** Indices of commits before a place that may hold what is looked for, newest first. */
  async *#commitsFor(account: Uint8Array | null, end: LedgerPlace, first: number): AsyncGenerator<number> {
    const { store } = this.components
    // A place that is in the commit's middle, or 0: what is before it in its own commit counts too.
    const from = Math.min(end.position > 0 ? end.index : end.index - 1, store.last())
    if (account !== null) {
      for await (const index of store.changesOf(account, from + 1)) if (index >= first) yield index
      return
    }
    for (let index = from; index >= first; index--) yield index
  }

  async #accounts({ after, count }: HistoryQuery<'accounts'>): Promise<HistoryPage<'accounts'>> {
    const state = this.components.state()
    const accounts: HistoryPage<'accounts'>['accounts'] = []
    for (const key of state.keys('account', after === null ? {} : { from: `${toHex(after)}0` })) {
      const last = accounts.at(-1)
      if (accounts.length >= count && last !== undefined) return { accounts, next: last.account }
      const row = state.get('account', key)
      // Rows are read only, the page is the caller's own.
      if (row !== undefined) accounts.push({ ...row, unbonding: [...row.unbonding] })
    }
    return { accounts, next: null }
  }

  async #images({ name, after, count }: HistoryQuery<'images'>): Promise<HistoryPage<'images'>> {
    const state = this.components.state()
    const images: HistoryPage<'images'>['images'] = []
    for (const key of state.keys('image', after === null ? {} : { from: `${toHex(after)}0` })) {
      const row = state.get('image', key)
      if (row === undefined || (name !== null && !isNamed(row, name))) continue
      const last = images.at(-1)
      if (images.length >= count && last !== undefined) return { images, next: last.digest }
      images.push({ ...row })
    }
    return { images, next: null }
  }

  async #checkpoints({ before, count }: HistoryQuery<'checkpoints'>): Promise<HistoryPage<'checkpoints'>> {
    const certificates: Uint8Array[] = []
    let end = before ?? Number.MAX_SAFE_INTEGER
    for (;;) {
      const stored = await this.components.store.checkpointBefore(end)
      if (stored === null) return { certificates, next: null }
      if (certificates.length >= count) return { certificates, next: end }
      certificates.push(stored.certificate)
      end = stored.index
    }
  }

  async #blocks({ from, to }: HistoryQuery<'blocks'>): Promise<HistoryPage<'blocks'>> {
    const { store, deciding } = this.components
    const first = deciding === undefined ? await store.first() : await deciding.firstBlocks()
    const start = Math.max(from, first)
    const end = Math.min(to, store.last(), start + MAX_HISTORY_COMMITS - 1)
    const commits: CommittedBlocks[] = []
    let ids = 0
    let bytes = 0
    // Blocks are decoded whole, and transactions in them may be large: a page of few ids can be much to read.
    for (let index = start; index <= end && ids <= MAX_BLOCK_IDS && bytes <= HISTORY_PAGE_BYTES; index++) {
      const found = deciding === undefined ? await this.#ownBlock(index) : await deciding.blocksOf(index)
      if (found === null) continue
      for (const { transactions, parents, weak } of found.commit.blocks)
        ids += 1 + transactions.length + parents.length + weak.length
      bytes += found.bytes
      commits.push(found.commit)
    }
    return { first, commits }
  }

  /** Where one witness decides alone, a commit is its block. */
  async #ownBlock(index: number): Promise<ReadBlocks | null> {
    const read = await this.#read(index)
    if (read === null) return null
    const { commit, bytes } = read
    const { header } = commit
    const id = blockMessage(this.init.network, header)
    const block = {
      id,
      epoch: 0,
      round: index,
      author: 0,
      witness: header.witness,
      timestamp: header.timestamp,
      parents: [header.previous],
      weak: [],
      transactions: commit.transactions.map(({ outcome }) => outcome.id)
    }
    return { commit: { index, epoch: 0, leader: id, blocks: [block] }, bytes }
  }

  async #witnesses({ after, count }: HistoryQuery<'witnesses'>): Promise<HistoryPage<'witnesses'>> {
    const { epoch, members } = (await this.components.deciding?.committee()) ?? { epoch: 0, members: this.init.members }
    const committee = members.map(([key, stake]) => ({ key, stake }))
    const equivocated = [...(this.components.deciding?.equivocated() ?? [])]
    const staked: HistoryPage<'witnesses'>['staked'] = []
    const from = after === null ? '' : `${toHex(after)}0`
    for (const [key, row] of scan(this.components.state(), 'witness')) {
      if (key < from) continue
      const last = staked.at(-1)
      if (staked.length >= count && last !== undefined) return { epoch, committee, staked, equivocated, next: last.key }
      const { witness, account, stake, chains } = row
      staked.push({ key: witness, account, stake, epochs: chains.map(chain => chain.epoch) })
    }
    return { epoch, committee, staked, equivocated, next: null }
  }

  /** null: it isn't kept any more. */
  async #read(index: number): Promise<{ commit: CommitView; bytes: number } | null> {
    const bytes = await this.components.store.commit(index)
    if (bytes === null) return null
    return { commit: commitViewSchema.parse(decodeCanonical(bytes)), bytes: bytes.length }
  }
}

/** Bytes of the largest commit that a message holds, with what stands around it. */
const LARGEST_SHOWN = LEDGER_MESSAGE_BYTES - 1024

/** Whether a digest stands for a name, or somebody proposes that it should. */
const isNamed = ({ record, proposals }: ImageRow, name: string): boolean =>
  record === null ? proposals.some(({ content }) => content.name === name) : record.content.name === name
