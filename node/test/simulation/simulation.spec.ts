import assert from 'node:assert/strict'
import { toHex } from '@pekka/node/protocol'
import { STANDARD_RULES, type PayloadTransaction } from '@pekka/node/consensus'
import { timeView } from '@pekka/node/ledger'
import { playChase } from '../../simulation/chase.js'
import { MUTANTS } from '../../simulation/mutants.js'
import { World, type Outcome } from '../../simulation/world.js'

/** The share of the simulator that runs with every test; `npm run simulate` is the whole. */
const run = (seed: number, witnesses = 4, faults: ConstructorParameters<typeof World>[0]['faults'] = 'all'): Outcome =>
  new World({ seed, witnesses, faults }).run()

/** Mutants whose first seed comes soon; round-jump has a schedule of its own, schedule-off-by-one begins with the seed that finds it. */
const QUICK = ['nearest-anchor', 'weak-quorum', 'count-blocks', 'duplicate-authors', 'local-gc', 'amnesia']

describe('seeded worlds', function () {
  this.timeout(120_000)

  for (let seed = 0; seed < 6; seed++) {
    it(`keeps every promise in seed ${seed} with all faults`, () => {
      const { violations, commits } = run(seed)
      assert.deepEqual(violations, [])
      assert.ok(commits > 10)
    })
  }
  it('runs one witness, and seven with two dishonest', () => {
    for (const outcome of [run(1, 1, ['crash', 'slow-disk']), run(2, 7, ['equivocate', 'drop'])]) {
      assert.deepEqual(outcome.violations, [])
      assert.ok(outcome.transactions > 10)
    }
  })
  it('elects committees, upgrades the rules and brings back who lost everything', () => {
    const outcome = run(3, 4, ['committee', 'wipe', 'crash'])
    assert.deepEqual(outcome.violations, [])
    assert.ok(outcome.epochs > 5)
  })
  it('orders through others what only a witness was given that withholds its blocks, and nobody asks for again', () => {
    let told = 0
    for (let seed = 0; seed < 2; seed++) {
      const world = new World({ seed, witnesses: 4, faults: ['withhold', 'silent'] })
      const [withholder, ...others] = world.witnesses
      const account = world.clients.accounts.at(-1)
      assert.ok(withholder !== undefined && !withholder.honest && account !== undefined)
      // As an honest one would; it says nothing else.
      const honest = Object.getPrototypeOf(Object.getPrototypeOf(withholder)) as typeof withholder
      Object.assign(withholder, {
        tell: (transactions: readonly PayloadTransaction[]): void => {
          told += transactions.length
          Reflect.get(honest, 'tell').call(withholder, transactions)
        }
      })
      const { timestamp, parents } = timeView(withholder.ledger.state)
      const body = { kind: 'transfer', to: account.id, amount: 1n } as const
      const expiry = timestamp + 60_000
      const sent = world.makeTransaction(account, { sequence: 0, previous: null, parents, expiry, body })
      world.checks.submitted.add(toHex(sent.id))
      world.agenda.after(1_000, () => withholder.submit(sent, () => {}))
      assert.deepEqual(world.run().violations, [])
      for (const { ledger } of others) assert.ok(ledger.final.has(toHex(sent.id)), `seed ${seed}`)
    }
    assert.equal(told, 2)
  })
  it('does the same for the same seed', () => {
    assert.deepEqual(run(11), run(11))
  })
  it('never commits where rounds are jumped, and commits on the same schedule where they are not', () => {
    assert.equal(playChase(MUTANTS['round-jump']?.rules).commits, 0)
    const { commits, broken } = playChase()
    assert.equal(broken, null)
    assert.ok(commits > 30)
  })
  for (const name of QUICK) {
    it(`finds the mistake ${name}`, () => {
      const { rules, faults, within } = MUTANTS[name] ?? assert.fail()
      for (let seed = 0; seed < within; seed++) {
        if (new World({ seed, witnesses: 4, faults, rules }).run().violations.length > 0) return
      }
      assert.fail(`not found in ${within} seeds`)
    })
  }
  it('finds the mistake schedule-off-by-one, in a world in which the standard rules break nothing', () => {
    const { rules, faults, within } = MUTANTS['schedule-off-by-one'] ?? assert.fail()
    const breaks = (seed: number, by = rules): boolean =>
      new World({ seed, witnesses: 4, faults, rules: by }).run().violations.length > 0
    // The first seed that found it last time; all take half a minute, and are looked through once it doesn't any more.
    const found = [110, ...Array(within).keys()].find(seed => breaks(seed)) ?? assert.fail(`not in ${within} seeds`)
    assert.ok(!breaks(found, STANDARD_RULES))
  })
})
