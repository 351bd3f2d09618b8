import assert from 'node:assert/strict'
import {
  accountId,
  AGENT_BODIES,
  CLIENT_BODIES,
  CREDIT,
  DEVNET_PARAMETERS,
  encodeSigned,
  objectId,
  SPINE_PARAMETERS,
  toHex,
  transactionId,
  u32,
  type Ask,
  type Body,
  type CommitClaim,
  type Genesis,
  type OfferTask,
  type OpenBody,
  type Parameters,
  type Policy,
  type TaskView,
  type Transaction,
  type TransactionOutcome
} from '@pekka/node/protocol'
import {
  brokenInvariants,
  encodeRow,
  executeCommit,
  genesisState,
  laneHead,
  MemoryState,
  scan,
  TABLE_NAMES,
  timeView,
  type CommitInput,
  type CommitResult,
  type VerifiedTransaction
} from '@pekka/node/ledger'

/** A made-up 32-byte value that is the same in every run. Signatures aren't checked by the rules, so keys needn't be keys. */
export const bytes = (seed: number, length = 32): Uint8Array =>
  new Uint8Array(length).fill(0).map((_, i) => (seed * 31 + i * 7 + (seed >> 8)) & 255)

export const policyOf = (seed: number): Policy => ({ threshold: 1, keys: [bytes(seed)] })

/** Someone who signs: an account with its own key (lane 0) or one of its delegates. */
export interface Actor {
  account: Uint8Array
  key: Uint8Array | null
  signers: Uint8Array[]
}

export const owner = (policy: Policy): Actor => ({
  account: accountId(policy),
  key: null,
  signers: policy.keys.slice(0, policy.threshold)
})
export const delegateOf = (account: Uint8Array, key: Uint8Array): Actor => ({ account, key, signers: [key] })

export const START = 1_000_000_000_000
export const IMAGE = { name: 'base', digest: bytes(200) }
export const RESOURCES = { milliCpus: 1000, memoryBytes: 1 << 30, diskBytes: 1 << 30, gpu: null }
export const LIMITS = { wallMs: 600_000, cpuMs: 600_000, outputBytes: 1 << 26 }
export const PRICE = 1_000n
export const HOLD_PRICE = 100n

/** Parameters with every part of the money switched on, so that the arithmetic of later parts is tested now. */
export const FULL_PARAMETERS: Parameters = {
  ...SPINE_PARAMETERS,
  contestWindowMs: 60_000,
  unbondMs: 120_000,
  sliceFactorMilli: 1500,
  holdBackMilli: 250,
  auditRatePpm: 30_000,
  levyPpm: 37_500,
  storageDeposit: 777n,
  openDeposit: 55n,
  faucetLimit: 100n * CREDIT
}

export interface ChainInit {
  parameters?: Parameters
  policies: Policy[]
  balance?: bigint
  /** Who registers images. */
  images?: Policy
}

/** A chain of commits in memory, with every invariant checked after each. */
export class Chain {
  readonly genesis: Genesis
  readonly state: MemoryState
  timestamp = START
  readonly results: CommitResult[] = []
  /** What each of them was made of. */
  readonly inputs: Pick<CommitInput, 'transactions' | 'includers'>[] = []
  /** Who brings a transaction (its block key); null: one witness decides alone. */
  includerOf: ((transaction: VerifiedTransaction) => Uint8Array) | null = null
  readonly views = new Map<string, TaskView>()
  readonly #final = new Set<string>()
  readonly #heads = new Map<string, { sequence: number; previous: Uint8Array | null }>()
  readonly #waiting: VerifiedTransaction[] = []
  /** Off in the long random walks, which check less often. */
  checking = true

  constructor(init: ChainInit) {
    this.genesis = {
      v: 1,
      name: 'test',
      createdAt: START,
      nonce: bytes(9, 16),
      parameters: init.parameters ?? DEVNET_PARAMETERS,
      witnesses: [{ key: bytes(8), stake: 1n }],
      accounts: init.policies.map(policy => ({ policy, balance: init.balance ?? 100n * CREDIT })),
      faucet: 1000n * CREDIT,
      ...(init.images !== undefined && { images: init.images })
    }
    this.state = genesisState(this.genesis)
    this.commit()
  }

  get network(): Uint8Array {
    return timeView(this.state).network
  }

  get contractTime(): number {
    return timeView(this.state).contractTime
  }

  /** A transaction by `actor` that follows its lane, with changes where a test wants it wrong. */
  make(actor: Actor, body: Body, change: Partial<Transaction> = {}, signers = actor.signers): VerifiedTransaction {
    const lane = `${toHex(actor.account)}/${actor.key === null ? '' : toHex(actor.key)}`
    const head = this.#heads.get(lane) ?? { sequence: 0, previous: null }
    const transaction: Transaction = {
      v: 1,
      network: this.network,
      account: actor.account,
      key: actor.key,
      sequence: head.sequence,
      previous: head.previous,
      parents: [this.network],
      expiry: this.timestamp + 60_000,
      body,
      ...change
    }
    const signatures = signers.map(key => ({ key, signature: new Uint8Array(64) }))
    const signed = { transaction, signatures }
    return { ...signed, id: transactionId(transaction), bytes: encodeSigned(signed) }
  }

  /** Puts a transaction of the actor into the next commit. */
  queue(actor: Actor, body: Body, change: Partial<Transaction> = {}): VerifiedTransaction {
    const made = this.make(actor, body, change)
    const lane = `${toHex(actor.account)}/${actor.key === null ? '' : toHex(actor.key)}`
    this.#heads.set(lane, { sequence: made.transaction.sequence + 1, previous: made.id })
    this.#waiting.push(made)
    return made
  }

  /** One commit, `ms` after the last one, with what is queued and `more`. */
  commit(ms = 0, more: readonly VerifiedTransaction[] = []): CommitResult {
    this.timestamp += ms
    const transactions = [...this.#waiting.splice(0), ...more]
    const input = { transactions, ...(this.includerOf !== null && { includers: transactions.map(this.includerOf) }) }
    this.inputs.push(input)
    const result = executeCommit(this.state, {
      timestamp: this.timestamp,
      ...input,
      witness: bytes(8),
      isFinal: vertex => this.#final.has(toHex(vertex))
    })
    // A contract that changed a row in place would throw from here on.
    for (const { row } of result.writes) freeze(row)
    this.state.write(result.writes)
    this.results.push(result)
    for (const { outcome } of result.ordered) this.#final.add(toHex(outcome.id))
    for (const { transaction } of [...result.ordered, ...result.refused]) this.#resetLane(transaction)
    for (const view of result.tasks) this.views.set(toHex(view.task), view)
    if (this.checking) assert.deepEqual(brokenInvariants(this.state), [])
    return result
  }

  /** Sends one transaction in a commit of its own. */
  send(actor: Actor, body: Body, ms = 0, change: Partial<Transaction> = {}): TransactionOutcome {
    this.timestamp += ms
    const { id } = this.queue(actor, body, change)
    return outcomeOf(this.commit(), id)
  }

  /** As send, and it must be applied. */
  done(actor: Actor, body: Body, ms = 0): TransactionOutcome {
    const outcome = this.send(actor, body, ms)
    assert.equal(
      outcome.status,
      'applied',
      `${body.kind}: ${'code' in outcome ? `${outcome.code} ${JSON.stringify(outcome.data)}` : ''}`
    )
    return outcome
  }

  /** As send, and it must fail with `code`. */
  fails(actor: Actor, body: Body, code: string, ms = 0): void {
    const outcome = this.send(actor, body, ms)
    assert.deepEqual(
      { status: outcome.status, code: 'code' in outcome ? outcome.code : null },
      { status: 'failed', code }
    )
  }

  refuses(actor: Actor, body: Body, code: string, change: Partial<Transaction> = {}): void {
    const before = dump(this.state)
    const made = this.make(actor, body, change)
    const outcome = outcomeOf(this.commit(0, [made]), made.id)
    assert.deepEqual(
      { status: outcome.status, code: 'code' in outcome ? outcome.code : null },
      { status: 'refused', code }
    )
    assert.deepEqual(withoutSystem(dump(this.state)), withoutSystem(before))
  }

  /** Lets contract time pass in steps that it may take, with commits as a witness makes them. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 1000) this.commit(Math.min(left, 1000))
  }

  view(task: Uint8Array): TaskView {
    const view = this.views.get(toHex(task))
    assert.ok(view, 'the task is known')
    return view
  }

  balance(actor: Actor): bigint {
    return this.state.get('account', toHex(actor.account))?.balance ?? -1n
  }

  account(actor: Actor) {
    const row = this.state.get('account', toHex(actor.account))
    assert.ok(row)
    return row
  }

  #resetLane({ transaction: { account, key } }: VerifiedTransaction): void {
    const head = laneHead(this.state, account, key)
    const lane = `${toHex(account)}/${key === null ? '' : toHex(key)}`
    if (head) this.#heads.set(lane, { sequence: head.sequence, previous: head.previous })
    else this.#heads.delete(lane)
  }
}

/** Freezes a row and all in it but byte strings, which can't be. */
function freeze(value: unknown): void {
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array || Object.isFrozen(value)) return
  Object.freeze(value)
  for (const part of Object.values(value)) freeze(part)
}

export function outcomeOf(result: CommitResult, id: Uint8Array): TransactionOutcome {
  const found = [...result.ordered, ...result.refused].find(({ outcome }) => toHex(outcome.id) === toHex(id))
  assert.ok(found, 'the commit holds the transaction')
  return found.outcome
}

/** The whole state as text: keys and canonical bytes. */
export function dump(state: MemoryState): string[] {
  const rows: string[] = []
  for (const table of TABLE_NAMES) {
    for (const [key, row] of scan(state, table)) rows.push(`${table}/${key} ${toHex(encodeRow(row))}`)
  }
  return rows
}

const withoutSystem = (rows: string[]): string[] => rows.filter(row => !row.startsWith('system/'))

export const grantOf = (
  key: Uint8Array,
  bodies: OpenBody[],
  change: Partial<{ cap: bigint; perTask: bigint; expiry: number }> = {}
): Body => ({
  kind: 'grant',
  delegate: { key, cap: 50n * CREDIT, perTask: 10n * CREDIT, bodies, expiry: START + 86_400_000, ...change }
})

export function askOf(provider: Uint8Array, seed: number, change: Partial<Ask> = {}): Ask {
  const nonce = bytes(seed, 16)
  return {
    ask: objectId(provider, nonce),
    nonce,
    image: IMAGE,
    contentDigest: bytes(201),
    resources: RESOURCES,
    concurrency: 4,
    pricePerSecond: PRICE,
    holdPricePerSecond: HOLD_PRICE,
    pricePerGiB: 0n,
    isolation: 2,
    runtime: 'bubblewrap',
    cpuClass: 'x86-64-v3',
    kemKey: bytes(202),
    kemExpiry: START + 80_000_000,
    expiry: START + 80_000_000,
    ...change
  }
}

let tasks = 0
export function offerOf(
  account: Uint8Array,
  asks: readonly { provider: Uint8Array; ask: Ask }[],
  change: Partial<OfferTask> = {}
): OfferTask {
  const nonce = new Uint8Array([...u32(++tasks), ...bytes(tasks, 12)])
  return {
    task: objectId(account, nonce),
    nonce,
    candidates: asks.map(({ provider, ask }) => ({
      provider,
      ask: ask.ask,
      pricePerSecond: ask.pricePerSecond,
      holdPricePerSecond: change.session ? ask.holdPricePerSecond : null
    })),
    image: IMAGE,
    resources: RESOURCES,
    limits: LIMITS,
    bundle: { hash: bytes(203), size: 512 },
    keyCommit: bytes(204),
    readKey: bytes(205),
    cap: CREDIT,
    audit: 'allowed',
    finishBy: null,
    replicas: 1,
    fixedPrice: null,
    datasets: [],
    checkpoint: null,
    session: null,
    gang: null,
    ...change
  }
}

export const claimOf = (change: Partial<CommitClaim> = {}): CommitClaim => ({
  commitment: bytes(206),
  run: 1,
  count: 3,
  head: bytes(207),
  usage: { wallMs: 1_500, cpuMs: 1_000 },
  outcome: 'ok',
  stored: null,
  session: null,
  ...change
})

/** A market: one client with a delegate, and providers with agents and an ask each. */
export interface Market {
  chain: Chain
  client: Actor
  owner: Actor
  providers: { owner: Actor; agent: Actor; provider: Uint8Array; ask: Ask }[]
}

export function openMarket(count = 2, parameters?: Parameters, checking = true, images?: Policy): Market {
  const clientPolicy = policyOf(1)
  const policies = Array.from({ length: count }, (_, i) => policyOf(10 + i))
  const chain = new Chain({
    policies: [clientPolicy, ...policies],
    parameters,
    ...(images !== undefined && { images })
  })
  chain.checking = checking
  const clientOwner = owner(clientPolicy)
  const client = delegateOf(clientOwner.account, bytes(2))
  chain.done(clientOwner, grantOf(bytes(2), [...CLIENT_BODIES]))
  const providers = policies.map((policy, i) => {
    const own = owner(policy)
    const agent = delegateOf(own.account, bytes(30 + i))
    chain.done(own, {
      kind: 'register-provider',
      name: `provider-${i}`,
      operator: null,
      peerKey: bytes(50 + i),
      peerSignature: bytes(51, 64)
    })
    chain.done(own, { kind: 'bond', amount: 50n * CREDIT })
    chain.done(
      own,
      // Only deposits of bids are ever locked on an agent's lane.
      grantOf(bytes(30 + i), [...AGENT_BODIES])
    )
    const ask = askOf(own.account, 60 + i)
    chain.done(agent, { kind: 'ask', ask })
    return { owner: own, agent, provider: own.account, ask }
  })
  return { chain, client, owner: clientOwner, providers }
}

/** Puts up a task for all providers of the market, in order; gives its id. */
export function offerTask(market: Market, change: Partial<OfferTask> = {}): Uint8Array {
  const terms = offerOf(market.client.account, market.providers, change)
  market.chain.done(market.client, { kind: 'offer', tasks: [terms] })
  return terms.task
}
