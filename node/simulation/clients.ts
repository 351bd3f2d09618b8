import {
  CREDIT,
  encodeSigned,
  signingMessage,
  toHex,
  witnessVouchMessage,
  type Body,
  type Policy,
  type Transaction,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { laneHead, timeView } from '@pekka/node/ledger'
import type { PayloadTransaction } from '@pekka/node/consensus'
import type { Witness } from './witness.js'
import type { World } from './world.js'

/** A transaction that gets no answer is sent again, elsewhere, after this, ms. */
const RESEND_MS = 1_200
/** Nobody may still wait for a transaction sent longer than this before the end, ms: some rounds of timeouts, sent twice. */
const PATIENCE_MS = 3_500
/** Time between a client's transactions, ms. */
const PAUSE_MS = 250

export interface Account {
  id: Uint8Array
  key: Uint8Array
}

interface Pending {
  bytes: Uint8Array
  since: number
  sent: number
}

/** One lane: sends transfers one after another or a few at once, again until they are answered. */
class Client {
  #pending: Pending | null = null
  done = 0

  constructor(
    private readonly world: World,
    readonly account: Account
  ) {}

  get waitingSince(): number | null {
    return this.#pending?.since ?? null
  }

  next(): void {
    const { agenda, random } = this.world
    const witness = this.#anyone()
    if (witness === null) return agenda.after(PAUSE_MS, () => this.next())
    const chain = this.#chain(witness, random.chance(0.2) ? 3 : 1)
    // The last one stands for all: it is final only after the others.
    const last = chain.at(-1)
    if (last === undefined) return
    this.#pending = { bytes: last.bytes, since: agenda.now, sent: 0 }
    this.#send(chain, witness)
  }

  #send(chain: readonly PayloadTransaction[], witness: Witness): void {
    const pending = this.#pending
    const last = chain.at(-1)
    if (pending === null || last === undefined) return
    pending.sent += 1
    const answered = (outcome: TransactionOutcome): void => {
      if (this.#pending === pending) this.#answered(outcome)
    }
    for (const transaction of chain) {
      this.world.checks.submitted.add(toHex(transaction.id))
      witness.submit(transaction, transaction === last ? answered : () => {})
    }
    this.world.agenda.after(RESEND_MS, () => {
      if (this.#pending !== pending) return
      const other = this.#anyone()
      if (other !== null) this.#send(chain, other)
      else this.world.agenda.after(PAUSE_MS, () => this.#send(chain, witness))
    })
  }

  #answered(outcome: TransactionOutcome): void {
    const { agenda, random } = this.world
    const pending = this.#pending
    this.#pending = null
    if (pending !== null && outcome.status !== 'refused') {
      this.done += 1
      if (pending.sent === 1) this.world.finality.push(agenda.now - pending.since)
    }
    // Refused: another of this lane came first. The lane is read again, and a new one signed.
    agenda.after(random.between(0, PAUSE_MS), () => this.next())
  }

  #chain(witness: Witness, length: number): PayloadTransaction[] {
    const { state } = witness.ledger
    const lane = laneHead(state, this.account.id, null)
    const chain: PayloadTransaction[] = []
    let [sequence, previous] = [lane?.sequence ?? 0, lane?.previous ?? null]
    for (let i = 0; i < length; i++) {
      const { timestamp, parents } = timeView(state)
      const body = this.#body(witness)
      const expiry = timestamp + 60_000 + this.world.random.between(0, 1_000)
      const made = this.world.makeTransaction(this.account, { sequence, previous, parents, expiry, body })
      chain.push(made)
      sequence += 1
      previous = made.id
    }
    return chain
  }

  #body(witness: Witness): Body {
    const { random, clients } = this.world
    const staked = this.#stakeBody(witness)
    if (staked !== null) return staked
    const to = random.pick(clients.accounts).id
    // Now and then more than anyone has: it fails, and its sequence is used all the same.
    return {
      kind: 'transfer',
      to,
      amount: random.chance(0.05) ? 1_000_000n * CREDIT : BigInt(random.between(1, 1_000))
    }
  }

  /** Now and then more or less stake on the account's own witness, if it has one; so elections have something to decide. */
  #stakeBody({ ledger: { state }, consensus }: Witness): Body | null {
    const { random, clients, witnesses, identities, networkId } = this.world
    const mine = witnesses[clients.accounts.indexOf(this.account)]
    if (mine === undefined) return null
    const { key } = mine
    const staked = state.get('witness', toHex(key))?.stake ?? 0n
    if (staked > 0n && random.chance(0.03)) return { kind: 'unstake', amount: CREDIT, witness: key }
    if (!random.chance(0.05)) return null
    const chains = [2, 3, 4].map(ahead => {
      const epoch = consensus.epoch + ahead
      return { epoch, tip: this.world.chainOf(key, epoch).tip }
    })
    const witnessSignature = identities.sign(key, witnessVouchMessage(networkId, this.account.id))
    return { kind: 'stake', amount: CREDIT, witness: key, witnessSignature, chains }
  }

  #anyone(): Witness | null {
    const up = this.world.witnesses.filter(({ up, honest, consensus }) => up && honest && consensus.writes)
    return up.length === 0 ? null : this.world.random.pick(up)
  }
}

/** Everyone who sends transactions. */
export class Clients {
  readonly #clients: Client[]

  constructor(
    private readonly world: World,
    readonly accounts: readonly Account[],
    count: number
  ) {
    this.#clients = accounts.slice(0, count).map(account => new Client(world, account))
  }

  begin(): void {
    for (const client of this.#clients) this.world.agenda.after(this.world.random.between(0, 300), () => client.next())
  }

  get done(): number {
    return this.#clients.reduce((sum, { done }) => sum + done, 0)
  }

  /** Transactions that waited for long at a time, and still do. */
  overdue(at: number): string[] {
    return this.#clients.flatMap(({ waitingSince, account }) =>
      waitingSince !== null && at - waitingSince > PATIENCE_MS
        ? [`a transaction of ${toHex(account.id).slice(0, 8)} waits since ${Math.round(waitingSince)}`]
        : []
    )
  }
}

export const policyOf = (key: Uint8Array): Policy => ({ threshold: 1, keys: [key] })

/** Signs and encodes what a lane sends. */
export function makeTransaction(
  world: World,
  { id, key }: Account,
  change: Pick<Transaction, 'sequence' | 'previous' | 'parents' | 'expiry' | 'body'>
): PayloadTransaction {
  const transaction: Transaction = { v: 1, network: world.networkId, account: id, key: null, ...change }
  const signature = world.identities.sign(key, signingMessage(transaction))
  const opened = world.identities.openTransaction(encodeSigned({ transaction, signatures: [{ key, signature }] }))
  if (opened === null) throw new TypeError('a made transaction is refused')
  return opened
}
