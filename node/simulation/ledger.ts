import { taggedHash, toHex, utf8, type TransactionOutcome } from '@pekka/node/protocol'
import { encodeRow, executeCommit, type MemoryState, type Write } from '@pekka/node/ledger'
import type { Commit } from '@pekka/node/consensus'

export interface Executed {
  /** Digest of the ledger's header and of every row that all commits so far have changed. */
  state: Uint8Array
  writes: readonly Write[]
  outcomes: readonly TransactionOutcome[]
}

/** The production ledger, driven by commits of the DAG. */
export class SimulatedLedger {
  /** Ids of ordered transactions and where: the same after the same commits. */
  readonly final = new Map<string, number>()

  constructor(
    readonly state: MemoryState,
    /** Digest of the state it begins with. */
    public digest: Uint8Array
  ) {}

  execute({ core, transactions, includers, witness }: Commit): Executed {
    const result = executeCommit(this.state, {
      timestamp: core.timestamp,
      transactions: transactions.map(({ transaction, signatures, id, bytes }) => ({
        transaction,
        signatures,
        id,
        bytes
      })),
      includers,
      witness,
      isFinal: vertex => this.final.has(toHex(vertex))
    })
    this.state.write(result.writes)
    for (const { outcome } of result.ordered) this.final.set(toHex(outcome.id), core.index)
    this.digest = stateDigest(this.digest, result.message, result.writes)
    const outcomes = [...result.ordered, ...result.refused].map(({ outcome }) => outcome)
    return { state: this.digest, writes: result.writes, outcomes }
  }

  /** Takes over what a stored commit did. */
  replay(writes: readonly Write[], state: Uint8Array, ids: readonly string[], index: number): void {
    this.state.write(writes)
    this.digest = state
    for (const id of ids) this.final.set(id, index)
  }
}

/** Equal for equal sequences of changes, and so for equal states. */
function stateDigest(before: Uint8Array, header: Uint8Array, writes: readonly Write[]): Uint8Array {
  const rows = writes.flatMap(({ table, key, row }) => [
    utf8(`${table}/${key}`),
    row === null ? new Uint8Array() : encodeRow(row)
  ])
  return taggedHash('pekka/simulation/state', before, header, ...rows)
}
