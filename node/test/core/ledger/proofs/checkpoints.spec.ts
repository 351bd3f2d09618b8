import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  fromHex,
  stateKey,
  stateRootOf,
  stateValue,
  toHex,
  transactionLeaf,
  transactionsRootOf
} from '@pekka/node/protocol'
import {
  CheckpointTrees,
  encodeRow,
  genesisState,
  scan,
  scriptHashing,
  StateTree,
  type CommitResult
} from '@pekka/node/ledger'
import { bytes, FULL_PARAMETERS, offerTask, openMarket, type Market } from '../support.js'
import { moveArbitrary, sessionMoveArbitrary, startWalk, step } from '../walk.js'
import { check, follow, proofOf, witnesses, world } from './support.js'

const PROVEN = ['account', 'ask', 'task'] as const

describe('ledger: checkpoints of its state', () => {
  it('have the root of all rows, however many commits lie between them', () => {
    const market = openMarket(2)
    const task = offerTask(market)
    const { chain } = market
    const place = { epoch: 0, previous: chain.network, committee: bytes(1), nextCommittee: null }
    const often = genesisState(chain.genesis)
    const [each, once] = [new CheckpointTrees(scriptHashing, often), follow(market).trees]
    for (const result of chain.results) {
      each.add(result, often)
      often.write(result.writes)
      const whole = new CheckpointTrees(scriptHashing, often).checkpoint(often, place)
      assert.equal(toHex(each.checkpoint(often, place).stateRoot), toHex(whole.stateRoot))
      assert.equal(each.waiting, 0)
    }
    const last = once.checkpoint(chain.state, place)
    assert.equal(toHex(each.checkpoint(often, place).stateRoot), toHex(last.stateRoot))
    assert.equal(last.transactions, chain.results.flatMap(({ ordered }) => ordered).length)
    assert.notEqual(toHex(last.stateRoot), toHex(StateTree.empty(scriptHashing).root))
    assert.equal(last.index, chain.results.length - 1)
    assert.ok(once.proveRow(chain.state, 'task', task).kind === 'row')
  })

  it('are proved as they were, though rows have changed, come and gone since', async () => {
    const made = world(witnesses(4, 3))
    const { market, trust } = made
    const { chain, client } = market
    const before = chain.balance(market.owner)
    chain.done(client, { kind: 'cancel', task: offerTask(market) })
    const to = market.providers[0]?.provider ?? assert.fail()
    for (const amount of [1n, 2n]) chain.done(market.owner, { kind: 'transfer', to, amount })
    const late = offerTask(market)
    const state = genesisState(chain.genesis)
    const again = new CheckpointTrees(scriptHashing, state)
    for (const result of chain.results) {
      if (result.header.index === made.checkpoint.index + 1) again.checkpoint(state, made.checkpoint)
      again.add(result, state)
      state.write(result.writes)
    }
    const claims = [again.proveRow(state, 'account', client.account), again.proveRow(state, 'task', late)]
    const facts = await check(await proofOf(made, claims), trust)
    assert.equal(facts[0]?.kind === 'account' && facts[0].row?.balance, before)
    assert.equal(facts[1]?.kind === 'task' && facts[1].row, null)
  })
})

describe('ledger: checkpoints along random walks', () => {
  for (const [name, move] of Object.entries({ tasks: moveArbitrary, sessions: sessionMoveArbitrary })) {
    it(`prove every account, ask and task as it was at the last one, and every transaction since the one before: ${name}`, () => {
      const walks = fc.property(fc.array(move, { minLength: 5, maxLength: 40 }), fc.nat(7), (moves, every) => {
        const walk = startWalk(FULL_PARAMETERS)
        for (const one of moves) step(walk, one)
        holdAlong(walk.market, every + 2)
      })
      fc.assert(walks, { numRuns: 15 })
    })
  }

  /** Follows the chain again with a checkpoint every so many commits, and checks all that it proves at the end. */
  function holdAlong({ chain }: Market, every: number): void {
    const place = { epoch: 0, previous: chain.network, committee: bytes(1), nextCommittee: null }
    const state = genesisState(chain.genesis)
    const trees = new CheckpointTrees(scriptHashing, state)
    let checkpoint = trees.checkpoint(state, place)
    let then = new Map<string, Uint8Array>()
    let between: CommitResult['ordered'] = []
    let ordered: CommitResult['ordered'] = []
    for (const result of chain.results) {
      trees.add(result, state)
      state.write(result.writes)
      ordered.push(...result.ordered)
      if (result.header.index % every !== 0) continue
      checkpoint = trees.checkpoint(state, place)
      ;[between, ordered] = [ordered, []]
      then = new Map(
        PROVEN.flatMap(table => [...scan(state, table)].map(([key, row]) => [`${table}/${key}`, encodeRow(row)]))
      )
    }
    const keys = new Set([
      ...then.keys(),
      ...PROVEN.flatMap(table => [...state.keys(table)].map(key => `${table}/${key}`))
    ])
    for (const name of keys) {
      const table = PROVEN.find(one => name.startsWith(one)) ?? assert.fail()
      const claim = trees.proveRow(state, table, fromHex(name.slice(table.length + 1)))
      assert.ok(claim.kind === 'row')
      const was = then.get(name) ?? null
      assert.deepEqual(claim.row, was)
      const root = stateRootOf(stateKey(table, claim.key), was === null ? null : stateValue(was), claim.path)
      assert.equal(toHex(root), toHex(checkpoint.stateRoot))
    }
    for (const { outcome } of between) {
      const claim = trees.proveTransaction(outcome.id)
      assert.ok(claim?.kind === 'transaction')
      assert.equal(claim.ordered.code, outcome.status === 'applied' ? null : outcome.code)
      const root = transactionsRootOf(transactionLeaf(claim.ordered), checkpoint.transactions, claim.path)
      assert.equal(toHex(root), toHex(checkpoint.transactionsRoot))
    }
  }
})
