import assert from 'node:assert/strict'
import { machineSnapshot, type MachineFacts, type MachineSnapshot } from '../../src/session/snapshot.js'
import { machineView, openingView } from '../../src/session/view.js'
import { PekkaError, type TaskView } from '@pekka/node/protocol'

const NOON = Date.UTC(2026, 0, 1, 12)
const MINUTE = 60_000
const context = {
  now: NOON,
  connected: true,
  clock: (ms: number) => new Date(ms).toISOString().slice(11, 16),
  cells: 2
}

const machine = (part: Partial<MachineSnapshot> = {}): MachineSnapshot => ({
  task: 'ab'.repeat(32),
  phase: { phase: 'running', provider: new Uint8Array(32), attempt: 1 },
  provider: 'birch-2',
  image: 'base',
  cap: 1_000_000n,
  price: 1_000n,
  hold: 100n,
  since: NOON - 4 * MINUTE,
  runningSince: null,
  queued: 0,
  spent: 24_000n,
  refunded: null,
  idleEnd: NOON + 6 * MINUTE,
  lifeEnd: NOON + 600 * MINUTE,
  idleMs: 10 * MINUTE,
  lettingGo: false,
  done: null,
  endedByItself: false,
  ...part
})

const said = (part: Partial<MachineSnapshot>, change: Partial<typeof context> = {}): string => {
  const { word, facts, actions } = machineView(machine(part), { ...context, ...change })
  return [word, ...facts, ...actions.map(({ label }) => `[${label}]`)].join(' · ')
}

describe('session: the notebook’s line about its machine', () => {
  it('says of one that waits what that costs, what it has cost, and when it is let go', () => {
    assert.equal(
      said({}),
      'birch-2 is kept for this notebook · kept 4 min · about 0.03 of 1 credits · ends 12:06 if nothing is run · 0.0001 credits a second while it waits · [Restart] · [Let go]'
    )
    assert.match(said({ lifeEnd: NOON + MINUTE }), / · ends 12:01 · /)
  })

  it('offers to interrupt one that is at work, and counts what waits behind', () => {
    assert.equal(
      said({ runningSince: NOON, queued: 2, idleEnd: null }),
      'birch-2 is at work for this notebook · kept 4 min · 2 more runs wait · 0.001 credits a second · about 0.03 of 1 credits · [Interrupt] · [Restart] · [Let go]'
    )
    assert.match(said({ runningSince: null, queued: 1 }), /at work .*kept 4 min · 0\.001/)
  })

  it('says why it is over, and what was paid', () => {
    const settled = { phase: { phase: 'settled' } as const, spent: 24_000n, refunded: 976_000n }
    const money = '0.024 credits · 0.976 came back · as the bridge says · [Keep one again] · [Receipt] · [Close]'
    assert.equal(said(settled), `birch-2 was let go · ${money}`)
    assert.equal(said({ ...settled, endedByItself: true }), `birch-2 was let go after 10 min without a run · ${money}`)
    const usage = { wallMs: 1, cpuMs: 1, maxMemoryBytes: 1, outputBytes: 1 }
    const done = { type: 'done', outcome: 'limit', exitCode: null, usage, t: 0 } as const
    assert.match(
      said({ ...settled, done: { ...done, reason: 'wall-limit', detail: { atCap: true } } }),
      /at your cap of 1 credits/
    )
    assert.match(
      said({ ...settled, done: { ...done, reason: 'kernel-died', detail: {} } }),
      /Python ended on birch-2, and what its cells made is gone/
    )
  })

  it('says whose word its sum is, and tells of none that the ledger refutes', () => {
    const proven = { phase: 'settled', proof: 'proven' } as const
    assert.equal(
      said({ phase: proven, spent: 24_000n, refunded: 976_000n }),
      'birch-2 was let go · 0.024 credits · 0.976 came back · settled · [Keep one again] · [Receipt] · [Close]'
    )
    const lost = { phase: 'refunded', reason: 'provider-lost', proof: 'proven' } as const
    assert.match(said({ phase: lost, spent: 1n, refunded: 2n }), /came back · settled ·/)
    for (const phase of [
      { ...proven, proof: 'refuted' },
      { ...lost, proof: 'refuted' }
    ] as const) {
      const refuted = machine({ phase, spent: 24_000n, refunded: 976_000n })
      const { word, facts, tone, spoken } = machineView(refuted, context)
      assert.deepEqual([word, tone, spoken?.assertive], ['The ledger says something else', 'bad', true])
      assert.deepEqual(facts, ['what birch-2 cost and how it ended can’t be believed', 'don’t rely on this bridge'])
    }
  })

  it('tells of a lost machine plainly, with a way on', () => {
    const lost = { phase: { phase: 'refunded', reason: 'provider-lost' } as const, spent: 10_000n, refunded: 990_000n }
    assert.equal(
      said(lost),
      'birch-2 was lost, and what its cells made with it · 0.010 credits · 0.990 came back · as the bridge says · [Run its cells again elsewhere] · [Close]'
    )
    assert.match(said(lost, { cells: 0 }), /\[Keep one again\]/)
    assert.equal(machineView(machine(lost), context).spoken?.assertive, true)
  })

  it('says without a connection what was known, and no live number', () => {
    assert.equal(
      said({}, { connected: false }),
      'Not connected · birch-2 was kept when last seen · ends 12:06 if nothing is run · [Try now]'
    )
  })

  it('says before there is one what goes on, and what went wrong', () => {
    assert.equal(openingView({ kind: 'adding', packages: ['a', 'b'] }).word, 'Adding a and b')
    const failed = openingView({ kind: 'failed', error: new PekkaError('SESSION_NOT_OFFERED') })
    assert.deepEqual([failed.word, failed.facts[0]], ['No machine is kept', 'No machine keeps a session now'])
    assert.match(said({ phase: { phase: 'refused', code: 'DELEGATE_CAP' } }), /may not spend that much/)
  })
})

describe('session: what is known of a machine', () => {
  const provider = new Uint8Array(32).fill(1)
  const view = (progress: object): TaskView =>
    ({
      offer: {
        candidates: [{ provider, pricePerSecond: 1_000n, holdPricePerSecond: 100n }],
        cap: 1_000_000n,
        image: { name: 'base' },
        session: { idleMs: 10 * MINUTE, lifeMs: 60 * MINUTE }
      },
      attempts: [{ provider, acceptedAt: NOON, acceptedT: 5_000, session: { cells: 1, idleSince: null, ...progress } }],
      paid: 0n,
      refunded: 0n,
      cancelledAt: null,
      sessionEndedAt: null
    }) as unknown as TaskView // as much as is used
  const facts = (part: Partial<MachineFacts>, progress = {}): MachineFacts => ({
    task: '',
    update: {
      phase: { phase: 'running', provider, attempt: 1 },
      item: { view: view(progress) } as MachineFacts['update']['item'], // as much as is used
      finished: null
    },
    provider: 'birch-2',
    startedAt: NOON,
    wallMs: 10_000,
    runningSince: null,
    lastEndAt: NOON + 10_000,
    ends: 1,
    queued: 0,
    lettingGo: false,
    done: null,
    ...part
  })

  it('costs its price while a cell runs and the lower one while it waits', () => {
    const now = NOON + 110_000
    assert.equal(machineSnapshot(facts({}), now).spent, 10n * 1_000n + 100n * 100n)
    const runs = facts({ runningSince: NOON + 100_000 })
    assert.equal(machineSnapshot(runs, now).spent, 20n * 1_000n + 90n * 100n)
  })

  it('takes the end of its waiting from the ledger where that knows of it, so that a reloaded page says the same', () => {
    const late = { lastEndAt: NOON + 300_000 }
    const known = machineSnapshot(facts(late, { cells: 1, idleSince: 15_000 }), NOON)
    assert.equal(known.idleEnd, NOON + 10_000 + 10 * MINUTE)
    // The ledger hears of an end a moment later than the page.
    const newer = machineSnapshot(facts({ ...late, ends: 2 }, { cells: 1, idleSince: 15_000 }), NOON)
    assert.equal(newer.idleEnd, NOON + 300_000 + 10 * MINUTE)
    assert.equal(machineSnapshot(facts({ runningSince: NOON }), NOON).idleEnd, null)
  })

  it('says that it was let go since nothing was run only of one that had waited for that long', () => {
    const over = (sessionEndedAt: number | null, idleSince: number | null = 15_000): boolean => {
      const { update, ...rest } = facts({}, { cells: 1, idleSince })
      const known = { ...update.item?.view, sessionEndedAt }
      const item = { view: known } as unknown as MachineFacts['update']['item'] // as much as is used
      return machineSnapshot({ ...rest, update: { ...update, item } }, NOON).endedByItself
    }
    assert.equal(over(NOON + 10_000 + 10 * MINUTE), true)
    // By the command line or another tab; at the end of its life.
    assert.equal(over(NOON + 5 * MINUTE), false)
    assert.equal(over(NOON + 60 * MINUTE, 59 * MINUTE), false)
    assert.equal(over(null), false)
  })
})
