import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { executeCommit, genesisState, type MemoryState, type VerifiedTransaction } from '@pekka/node/ledger'
import { COMMIT_SPACING_MS, LoneSequencer, type Decision } from '@pekka/node/agents/witness'
import { createTestNetwork } from './support.js'

/** A transaction of its own lane, as far as the sequencer looks at it. */
const transaction = (n: number): VerifiedTransaction => ({
  transaction: {
    v: 1,
    network: new Uint8Array(32),
    account: new Uint8Array(32).fill(n),
    key: null,
    sequence: 0,
    previous: null,
    parents: [new Uint8Array(32)],
    expiry: 0,
    body: { kind: 'faucet', amount: 1n }
  },
  signatures: [],
  id: new Uint8Array(32).fill(n),
  bytes: new Uint8Array(300)
})

/** Lets everything go on that waits for no timer. */
const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('witness: the sequencer of one', () => {
  let now: number
  let state: MemoryState
  let sequencer: LoneSequencer
  const stopping = new AbortController()

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] })
    now = 0
    const net = createTestNetwork()
    state = genesisState(net.genesis)
    sequencer = new LoneSequencer({ signer: net.witness, clock: { now: () => now }, monotonic: () => now })
  })
  afterEach(() => mock.timers.reset())

  /** Time goes on, and whoever waits for it. */
  async function pass(ms: number): Promise<void> {
    now += ms
    mock.timers.tick(ms)
    await turn()
  }

  /** Asks for the next decision once the state holds the one before; it is there when `decided` is set. */
  function ask(): { decided: Decision | null } {
    const answer: { decided: Decision | null } = { decided: null }
    void sequencer.next(state, stopping.signal).then(decision => (answer.decided = decision))
    return answer
  }

  /** The ledger begins: its first commit, of no transaction. */
  async function begin(): Promise<void> {
    const { timestamp, witness } = await sequencer.next(state, stopping.signal)
    const result = executeCommit(state, { timestamp, transactions: [], witness, isFinal: () => false })
    state.write(result.writes)
  }

  const accounts = (decision: Decision | null) => decision?.transactions.map(one => one.transaction.account[0])

  it('puts what comes close behind a commit into one other, a moment later', async () => {
    await begin()
    const next = ask()
    for (const n of [1, 2]) {
      sequencer.propose(transaction(n))
      await turn()
    }
    assert.equal(next.decided, null)
    await pass(COMMIT_SPACING_MS)
    assert.deepEqual(accounts(next.decided), [1, 2])
  })

  it('lets nothing wait that comes after a pause', async () => {
    await begin()
    const next = ask()
    await pass(COMMIT_SPACING_MS)
    assert.equal(next.decided, null)
    sequencer.propose(transaction(1))
    await turn()
    assert.deepEqual(accounts(next.decided), [1])
  })
})
