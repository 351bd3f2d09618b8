import assert from 'node:assert/strict'
import {
  TASK_STATES,
  accountPageSchema,
  commitPageSchema,
  isPekkaError,
  taskPageSchema,
  toHex,
  witnessPageSchema,
  type AccountPage,
  type LedgerBatch,
  type WitnessPage
} from '@pekka/node/protocol'
import type { LedgerTail, PekkaClient } from '@pekka/node/client'
import { sleep } from '../../../node/test/support/network.js'

/** Codes by which a bridge says that it can't answer now; everything else is a finding. */
const AWAY = ['BRIDGE_UNREACHABLE', 'LEDGER_UNREACHABLE', 'PROOF_MISSING', 'TOKEN_INVALID', 'RATE_LIMITED']

/**
 * Looks at the ledger all the time as any client of a bridge can: pages of the explorer, proven checkpoints, and the tail over the socket. What was seen
 * must never be taken back, and the credits must always add up.
 */
export class LedgerWatch {
  /** Looks that were answered. */
  looks = 0
  /** Final transactions that the tail told of, by id, with how often. */
  readonly told = new Map<string, number>()
  #place = { index: -1, position: -1 }
  #height = -1
  #timestamp = 0
  #contractTime = 0
  #checkpoint = -1
  #supply: bigint | null = null
  readonly #tasks = new Map<string, number>()
  readonly #balances = new Map<string, bigint>()
  readonly #stop = new AbortController()
  #looking: Promise<void> = Promise.resolve()
  #tail: LedgerTail | null = null
  #failure: unknown = null

  /** @param receivers accounts that never pay: what they have only grows */
  constructor(
    private readonly client: PekkaClient,
    private readonly receivers: readonly Uint8Array[]
  ) {}

  start(): void {
    this.#looking = this.#run()
    this.#tail = this.client.followLedger(
      { after: -1, account: null, task: null },
      {
        batch: (batch, missed) => this.#keep(() => this.#take(batch, missed)),
        failed: error => (this.#failure ??= error)
      }
    )
  }

  /** Throws what was found. */
  check(): void {
    if (this.#failure !== null) throw this.#failure
  }

  /** Index of the last commit that the tail has told of. */
  get through(): number {
    return this.#tail?.after ?? -1
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    this.#tail?.stop()
    await this.#looking
  }

  async get<T>(path: string, schema: { parse(value: unknown): T }): Promise<T> {
    const token = await this.client.tokens.get()
    return await this.client.http.request('GET', path, schema, { token })
  }

  async #run(): Promise<void> {
    for (; !this.#stop.signal.aborted; await sleep(200)) {
      try {
        await this.#look()
        this.looks += 1
      } catch (error) {
        if (isPekkaError(error) && error.code === 'TOKEN_INVALID') this.client.tokens.drop()
        if (!isPekkaError(error) || !AWAY.includes(error.code)) this.#failure ??= error
      }
    }
  }

  async #look(): Promise<void> {
    const { commits } = await this.get('/v1/ledger/commits?limit=1', commitPageSchema)
    const header = commits[0]?.header
    if (header !== undefined) {
      assert.ok(header.index >= this.#height, `the height went back from ${this.#height} to ${header.index}`)
      assert.ok(header.timestamp >= this.#timestamp, 'the time of the commits went back')
      assert.ok(header.contractTime >= this.#contractTime, 'contract time went back')
      this.#height = header.index
      this.#timestamp = header.timestamp
      this.#contractTime = header.contractTime
    }
    // The client itself refuses one from before what it has seen, and what no quorum has signed.
    const { index } = await this.client.ledger.checkpoint()
    assert.ok(index >= this.#checkpoint, `the proven height went back from ${this.#checkpoint} to ${index}`)
    this.#checkpoint = index
    const { accounts, next } = await this.get('/v1/ledger/accounts?limit=200', accountPageSchema)
    assert.equal(next, null, 'all accounts stand on one page, which is of one moment')
    this.#money(accounts, await this.get('/v1/ledger/witnesses?limit=200', witnessPageSchema))
    for (const { account, balance } of accounts) {
      if (!this.receivers.some(one => toHex(one) === toHex(account))) continue
      const before = this.#balances.get(toHex(account)) ?? 0n
      assert.ok(balance >= before, `a balance that only grows went back from ${before} to ${balance}`)
      this.#balances.set(toHex(account), balance)
    }
    for (const { task, state } of (await this.get('/v1/ledger/tasks?limit=200', taskPageSchema)).tasks) {
      const [now, before] = [TASK_STATES.indexOf(state), this.#tasks.get(toHex(task)) ?? 0]
      assert.ok(now >= before, `task ${toHex(task)} went back from ${TASK_STATES[before]} to ${state}`)
      this.#tasks.set(toHex(task), now)
    }
  }

  /** Every credit is in an account or staked; what is in an account and came from the faucet isn't in the faucet. */
  #money(accounts: AccountPage['accounts'], { witnesses }: WitnessPage): void {
    let sum = 0n
    for (const { balance, locked, bond, unbonding, faucetDrawn } of accounts)
      sum += balance + locked + bond - faucetDrawn + unbonding.reduce((all, { amount }) => all + amount, 0n)
    for (const { staked } of witnesses) sum += staked?.stake ?? 0n
    this.#supply ??= sum
    assert.equal(sum, this.#supply, 'credits came to be or were lost')
  }

  /** In order, each commit once. */
  #take({ after, through, transactions }: LedgerBatch, missed: object | null): void {
    assert.equal(missed, null, 'the tail left out commits')
    assert.ok(through > after)
    for (const { id, place } of transactions) {
      const { index, position } = this.#place
      const later = place.index > index || (place.index === index && place.position > position)
      assert.ok(later, `the tail went back from ${index}-${position} to ${place.index}-${place.position}`)
      this.#place = place
      this.told.set(toHex(id), (this.told.get(toHex(id)) ?? 0) + 1)
    }
  }

  #keep(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#failure ??= error
    }
  }
}
