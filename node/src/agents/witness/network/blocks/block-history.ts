import {
  fromHex,
  type BlockView,
  type CommitteeMembers,
  type EquivocationSummary,
  type HistoryQuery
} from '@pekka/node/protocol'
import type { OpenedBlock } from '@pekka/node/consensus'
import type { BesideStore } from '@pekka/node/host/storage'
import type { DecidingHistory, ReadBlocks } from '../../history.js'
import { BlockKeeper, reopen } from './block-keeper.js'
import type { AgreementStatus } from '../status.js'
import type { EvidenceBook } from './evidence.js'

export interface BlockHistoryComponents {
  store: { readonly beside: BesideStore }
  /** How the committee stands; null before the first commit. */
  status: () => Promise<AgreementStatus | null>
  evidence: Pick<EvidenceBook, 'kept' | 'read'>
}

/** The blocks of a committee's commits, while they are kept: this epoch's and those of two before (KEPT_EPOCHS). */
export class BlockHistory implements DecidingHistory {
  readonly #keeper: BlockKeeper

  constructor(private readonly components: BlockHistoryComponents) {
    this.#keeper = new BlockKeeper(components.store.beside)
  }

  async blocksOf(commit: number): Promise<ReadBlocks | null> {
    const record = await this.#keeper.record(commit)
    if (record === null) return null
    const members = await this.#keeper.membersOf(record.epoch)
    const blocks: BlockView[] = []
    let read = 0
    for (const { key, author } of record.blocks) {
      const bytes = await this.#keeper.block(key)
      const witness = members?.[author]?.key
      // Pruned between two reads: then the commit's others are going too.
      if (bytes === null || witness === undefined) return null
      read += bytes.length
      blocks.push(viewOf(reopen(bytes), witness))
    }
    const leader = blocks.at(-1)
    if (leader === undefined) return null
    return { commit: { index: commit, epoch: record.epoch, leader: leader.id, blocks }, bytes: read }
  }

  async firstBlocks(): Promise<number> {
    return await this.#keeper.firstRecord()
  }

  async committee(): Promise<{ epoch: number; members: CommitteeMembers }> {
    const status = await this.components.status()
    const members = (status?.committee ?? []).map(({ key, stake }): [Uint8Array, bigint] => [
      fromHex(key),
      BigInt(stake)
    ])
    return { epoch: status?.epoch ?? 0, members }
  }

  equivocated(): readonly EquivocationSummary[] {
    return this.components.evidence.kept
  }

  async evidence({ witness, epoch, round }: HistoryQuery<'evidence'>): Promise<Uint8Array | null> {
    return await this.components.evidence.read({ key: witness, epoch, round })
  }
}

const viewOf = ({ block, id, transactions }: OpenedBlock, witness: Uint8Array): BlockView => ({
  id,
  epoch: block.epoch,
  round: block.round,
  author: block.author,
  witness,
  timestamp: block.timestamp,
  parents: block.parents.map(parent => parent.id),
  weak: block.weak.map(older => older.id),
  transactions: transactions.map(transaction => transaction.id)
})
