import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import {
  AGENT_BODIES,
  CREDIT,
  LINK_PROTOCOL,
  MAX_LINK_MESSAGE,
  PekkaError,
  bridgeMessageSchema,
  commitment,
  decodeBundle,
  equalBytes,
  helloMessage,
  objectId,
  openBox,
  openBundle,
  openSigned,
  peerVouchMessage,
  resultDigest,
  runHash,
  toHex,
  type Ask,
  type Body,
  type BridgeMessage,
  type LedgerAccess,
  type OfferTask,
  type ProviderMessage,
  type Stored,
  type TaskEvent,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { createSigner, writeSigner } from '@pekka/node/host/crypto'
import {
  TypedChannel,
  createNetworkHost,
  loadPeerKey,
  publicKeyOfPeer,
  type NetworkHost,
  fetchBlob
} from '@pekka/node/host/network'
import { Sender, seed } from '../../../node/test/agents/witness/support.js'
import { DONE, primitives, printed, sealRun, type SealedRun } from '../../../node/test/support/sealed-run.js'

export type Notice = Extract<BridgeMessage, { kind: 'notice' }>

/** How a stand-in answers a notice with a box. Default: run it at once and commit. */
export type Work = (provider: StandInProvider, opened: Opened) => Promise<unknown>

export interface Opened {
  offer: OfferTask
  task: Uint8Array
  taskKey: Uint8Array
  /** Source of the first cell. */
  source: string
}

/** Transactions of one lane that aren't final yet; a witness takes 64. */
const LANE_PENDING = 48

/** The image every stand-in offers. */
export const IMAGE = { name: 'base', digest: new Uint8Array(32).fill(7) }

/**
 * A provider without a sandbox: real account, keys, link, box, signatures, frames and commits; what it "runs" is a list of
 * events.
 */
export class StandInProvider {
  readonly agent = createSigner(seed())
  readonly lane: Sender
  readonly ask: Ask
  readonly heard: BridgeMessage[] = []
  readonly #heardOf = new Map<string, BridgeMessage[]>()
  work: Work = (provider, opened) => provider.runAndCommit(opened, [printed('hello\n')])
  #kem: { publicKey: Uint8Array; privateKey: Uint8Array } = { publicKey: seed(), privateKey: seed() }
  #typed: TypedChannel<BridgeMessage, ProviderMessage> | null = null
  #waiting: { wanted: (message: BridgeMessage) => boolean; found: (message: BridgeMessage) => void }[] = []
  #sending: Promise<unknown> = Promise.resolve()
  #pending = 0
  #room: () => void = () => undefined

  private constructor(
    readonly name: string,
    readonly ledger: LedgerAccess,
    readonly owner: Sender,
    readonly network: Uint8Array,
    readonly host: NetworkHost,
    ask: Omit<Ask, 'kemKey'>,
    kem: { publicKey: Uint8Array; privateKey: Uint8Array }
  ) {
    this.lane = new Sender(owner.account, this.agent.publicKey, this.agent)
    this.ask = { ...ask, kemKey: kem.publicKey }
    this.#kem = kem
  }

  get account(): Uint8Array {
    return this.owner.account
  }

  /** Registers with the ledger: peer key, agent delegate, one ask. */
  static async create(
    name: string,
    folder: string,
    ledger: LedgerAccess,
    owner: Sender,
    concurrency = 8
  ): Promise<StandInProvider> {
    const { network, timestamp } = await ledger.time()
    const peerSeed = seed()
    const peer = createSigner(peerSeed)
    await writeSigner(join(folder, `${name}.key`), peerSeed)
    const host = createNetworkHost({ key: await loadPeerKey(join(folder, `${name}.key`)) }, {})
    await host.start()
    const nonce = new Uint8Array(randomBytes(16))
    const ask = {
      ask: objectId(owner.account, nonce),
      nonce,
      image: IMAGE,
      contentDigest: new Uint8Array(32).fill(8),
      resources: { milliCpus: 4000, memoryBytes: 16 * 2 ** 30, diskBytes: 64 * 2 ** 30, gpu: null },
      concurrency,
      pricePerSecond: 1000n,
      holdPricePerSecond: null,
      pricePerGiB: 0n,
      isolation: 2,
      runtime: 'none',
      cpuClass: 'x86-64-v3',
      kemExpiry: timestamp + 3_600_000,
      expiry: timestamp + 3_600_000
    }
    const provider = new StandInProvider(name, ledger, owner, network, host, ask, await primitives.agreement.generate())
    const delegate = {
      key: provider.agent.publicKey,
      // For deposits of bids.
      cap: CREDIT,
      perTask: CREDIT,
      bodies: [...AGENT_BODIES],
      expiry: timestamp + 3_600_000
    }
    const peerSignature = await peer.sign(peerVouchMessage(network, owner.account))
    const register: Body = { kind: 'register-provider', name, operator: null, peerKey: peer.publicKey, peerSignature }
    expectApplied(await owner.send(ledger, register))
    expectApplied(await owner.send(ledger, { kind: 'grant', delegate }))
    expectApplied(await provider.send({ kind: 'ask', ask: provider.ask }))
    return provider
  }

  /** Sends on the agent's lane, one after another. */
  send(body: Body): Promise<TransactionOutcome> {
    const sent = this.#sending.then(async () => {
      while (this.#pending >= LANE_PENDING) await new Promise<void>(resolve => (this.#room = resolve))
      const { bytes } = await this.lane.sign(this.ledger, body)
      this.#pending++
      const outcome = this.ledger.submit(bytes).finally(() => {
        this.#pending--
        this.#room()
      })
      // The next one may follow before this one is final: the lane is a chain.
      return { outcome }
    })
    this.#sending = sent.catch(() => undefined)
    return sent.then(({ outcome }) => outcome)
  }

  /** Opens the link and says hello; `change` bends the hello. */
  async connect(
    address: string,
    resume: Extract<ProviderMessage, { kind: 'hello' }>['resume'] = [],
    change: Partial<Extract<ProviderMessage, { kind: 'hello' }>> = {}
  ): Promise<BridgeMessage> {
    this.address = address
    const channel = await this.host.open(address, LINK_PROTOCOL, { maxMessageBytes: MAX_LINK_MESSAGE })
    const typed = new TypedChannel<BridgeMessage, ProviderMessage>(channel, bridgeMessageSchema)
    const challenge = await typed.expect(AbortSignal.timeout(5_000))
    if (challenge.kind !== 'challenge') throw new PekkaError('LINK_PROTOCOL', { issue: 'no challenge' })
    const peerKey = publicKeyOfPeer(this.host.peerId)
    if (peerKey === null) throw new TypeError('not an Ed25519 peer')
    const message = helloMessage(this.network, challenge.bridge, challenge.nonce, peerKey, this.account)
    const hello = {
      kind: 'hello' as const,
      v: 1 as const,
      network: this.network,
      provider: this.account,
      name: this.name,
      key: this.agent.publicKey,
      signature: await this.agent.sign(message),
      resume,
      ...change
    }
    await typed.send(hello)
    const answer = await typed.expect(AbortSignal.timeout(5_000))
    if (answer.kind !== 'welcome') return answer
    this.#typed = typed
    void this.#listen(typed)
    return answer
  }

  tell(message: ProviderMessage): Promise<void> {
    return this.#typed?.send(message) ?? Promise.reject(new PekkaError('LINK_CLOSED'))
  }

  disconnect(): void {
    this.#typed?.channel.abort(new Error('the test ends the link'))
    this.#typed = null
  }

  async stop(): Promise<void> {
    this.disconnect()
    await this.host.stop()
  }

  /** The first message (of a task), heard already or to come, for which `wanted` holds. */
  next(wanted: (message: BridgeMessage) => boolean, task?: Uint8Array): Promise<BridgeMessage> {
    const known = (task === undefined ? this.heard : (this.#heardOf.get(toHex(task)) ?? [])).find(wanted)
    if (known !== undefined) return Promise.resolve(known)
    return new Promise(found => this.#waiting.push({ wanted, found }))
  }

  async #listen(typed: TypedChannel<BridgeMessage, ProviderMessage>): Promise<void> {
    try {
      for await (const message of typed) {
        this.heard.push(message)
        if ('task' in message && message.task instanceof Uint8Array) {
          const name = toHex(message.task)
          const known = this.#heardOf.get(name)
          if (known === undefined) this.#heardOf.set(name, [message])
          else known.push(message)
        }
        this.#waiting = this.#waiting.filter(({ wanted, found }) => {
          if (!wanted(message)) return true
          found(message)
          return false
        })
        if (message.kind === 'notice' && message.box !== null) this.#begin(message)
        if (message.kind === 'box') throw new Error('boxes come with notices')
      }
    } catch {
      // The link ended; tests that care look at what was heard.
    }
  }

  #begin(notice: Notice): void {
    this.open(notice)
      .then(opened => this.work(this, opened))
      .catch(error => {
        if (!this.stopped) process.stderr.write(`stand-in ${this.name}: ${String(error)}\n`)
      })
  }

  /** The bridge it is linked to. */
  address = ''

  /** Set by a test that ends things on purpose. */
  stopped = false

  async open(notice: Notice): Promise<Opened> {
    const { transaction } = await openSigned(notice.transaction, primitives.verifier)
    if (transaction.body.kind !== 'offer' || notice.box === null) throw new TypeError('no offer')
    const offer = transaction.body.tasks.find(one => equalBytes(one.task, notice.task))
    if (offer === undefined) throw new TypeError('no offer')
    const name = { task: notice.task, hash: offer.bundle.hash }
    const bundle =
      notice.bundle ??
      this.#early(notice.task) ??
      (await fetchBlob(this.host, this.address, name, offer.bundle.size, AbortSignal.timeout(5_000)))
    if (bundle === null) throw new TypeError('no bundle')
    const binding = { network: this.network, task: notice.task, provider: this.account, ask: this.ask.ask }
    const taskKey = await openBox(primitives, notice.box, this.#kem.privateKey, binding, offer.keyCommit)
    const { program } = decodeBundle(await openBundle(primitives.aead, taskKey, binding, bundle))
    const source =
      program.kind === 'cells' ? (program.cells[0]?.source ?? '') : new TextDecoder().decode(program.source)
    return { offer, task: notice.task, taskKey, source }
  }

  #early(task: Uint8Array): Uint8Array | null {
    for (const message of this.#heardOf.get(toHex(task)) ?? [])
      if (message.kind === 'notice' && message.bundle !== null) return message.bundle
    return null
  }

  seal(opened: Opened, batches: TaskEvent[][], numbers: { attempt?: number; run?: number } = {}): Promise<SealedRun> {
    const parties = {
      network: this.network,
      account: new Uint8Array(32),
      nonce: opened.offer.nonce,
      task: opened.task,
      taskKey: opened.taskKey,
      readKey: new Uint8Array(32),
      readPublic: opened.offer.readKey,
      commit: opened.offer.keyCommit,
      provider: this.account,
      agent: this.agent
    }
    return sealRun(parties, batches, numbers)
  }

  async sendRun(run: SealedRun): Promise<Stored> {
    const { task, attempt, run: number } = run.header
    await this.tell({ kind: 'run', header: run.header })
    await this.tell({ kind: 'frames', task, attempt, run: number, index: 0, frames: run.sealed })
    await this.tell({ kind: 'head', head: run.signed })
    return this.stored(run)
  }

  /** The bridge's signed word that it has all of a run. */
  async stored(run: SealedRun): Promise<Stored> {
    const { task, attempt, run: number } = run.header
    const message = await this.next(
      one =>
        one.kind === 'ack' &&
        equalBytes(one.task, task) &&
        one.attempt === attempt &&
        one.run === number &&
        one.stored?.count === run.sealed.length,
      task
    )
    if (message.kind !== 'ack' || message.stored === null) throw new TypeError('no stored')
    return message.stored
  }

  async commit(opened: Opened, run: SealedRun, stored: Stored | null): Promise<TransactionOutcome> {
    const { network, account: provider } = this
    const { attempt } = run.header
    const digest = resultDigest(opened.taskKey, run.manifest.result)
    const { blind } = run.manifest
    const claim = {
      commitment: commitment({
        network,
        task: opened.task,
        attempt,
        provider,
        digest,
        runHash: runHash(run.manifest.run),
        blind
      }),
      run: run.header.run,
      count: run.sealed.length,
      head: run.head,
      usage: { wallMs: 1, cpuMs: 1 },
      outcome: DONE.outcome,
      stored,
      session: null
    }
    return this.send({ kind: 'commit', task: opened.task, attempt, claim })
  }

  /** All a provider does with a task it can open. */
  async runAndCommit(opened: Opened, batches: TaskEvent[][], attempt = 1): Promise<SealedRun> {
    const accepted = this.send({ kind: 'accept', task: opened.task })
    const run = await this.seal(opened, batches, { attempt })
    const stored = await this.sendRun(run)
    expectApplied(await accepted)
    expectApplied(await this.commit(opened, run, stored))
    return run
  }
}

export function expectApplied(outcome: TransactionOutcome): void {
  if (outcome.status !== 'applied')
    throw new Error(`${toHex(outcome.id)} is ${outcome.status}: ${outcome.code} ${JSON.stringify(outcome.data)}`)
}
