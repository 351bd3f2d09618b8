import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { encodeCbor, equalBytes, toHex } from '@pekka/node/protocol'
import { EQUIVOCATION, type Consensus, type ConsensusEvent } from '@pekka/node/consensus'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import type { NetworkHost } from '@pekka/node/host/network'
import { Agreement, type AgreementComponents } from '../../../../src/agents/witness/network/agreement.js'
import { Answers } from '../../../../src/agents/witness/network/blocks/answers.js'
import type { BlockKeeper } from '../../../../src/agents/witness/network/blocks/block-keeper.js'
import {
  MAX_ANSWERS_PER_PEER,
  MAX_INBOX,
  MAX_OBSERVERS,
  MAX_OUTBOX_BYTES,
  MAX_SESSIONS_PER_PEER,
  MAX_UNEXECUTED
} from '../../../../src/agents/witness/network/constants.js'
import { WitnessLinks } from '../../../../src/agents/witness/network/links.js'
import { helloMessage } from '../../../../src/agents/witness/network/messages.js'
import { seed } from '../support.js'

const NETWORK = new Uint8Array(32).fill(7)
const none = async (): Promise<void> => {}

/** A stream of a peer that introduces itself and then says nothing. */
class SilentChannel {
  readonly #ended = Promise.withResolvers<never>()
  readonly closed = this.#ended.promise.catch(() => {})
  readonly #entered = Promise.withResolvers<void>()
  /** It was let in: more than its introduction is read. */
  readonly entered = this.#entered.promise
  /** What is sent isn't on its way before this. */
  gate: Promise<void> = Promise.resolve()
  #said = false

  constructor(
    readonly remotePeer: string,
    private readonly hello: Uint8Array
  ) {}

  async send(): Promise<void> {
    await this.gate
  }

  async receive(): Promise<Uint8Array> {
    if (!this.#said) {
      this.#said = true
      return this.hello
    }
    this.#entered.resolve()
    return await this.#ended.promise
  }

  abort(error: Error): void {
    this.#ended.reject(error)
  }
}

const member = createSigner(seed())

const observer = (peer: string): SilentChannel =>
  new SilentChannel(peer, encodeCbor({ type: 'hello', v: 1, network: NETWORK, key: null, signature: null, commit: 0 }))

async function seated(peer: string): Promise<SilentChannel> {
  const signature = await member.sign(helloMessage(NETWORK, peer))
  const hello = { type: 'hello', v: 1, network: NETWORK, key: member.publicKey, signature, commit: 0 }
  return new SilentChannel(peer, encodeCbor(hello))
}

/** Links without a net: `enter` hands a stream to them, and rejects where it isn't let in. */
async function openLinks(): Promise<{ links: WitnessLinks; enter: (channel: SilentChannel) => Promise<void> }> {
  let serve: (channel: SilentChannel, signal: AbortSignal) => Promise<void> = none
  const handle = async (_protocol: string, handler: typeof serve): Promise<void> => void (serve = handler)
  const links = new WitnessLinks(
    {
      // What links ask of a host that nobody dials through.
      host: { peerId: 'own', handle } as unknown as NetworkHost,
      signer: createSigner(seed()),
      verifier: createVerifier(),
      log: { info: () => {}, warn: () => {} },
      monotonic: () => 0
    },
    {
      network: NETWORK,
      addresses: [],
      isMember: key => equalBytes(key, member.publicKey),
      commit: () => 0,
      onPeers: () => {},
      onMessage: async () => 'taken'
    }
  )
  await links.start()
  const enter = async (channel: SilentChannel): Promise<void> => {
    const served = serve(channel, new AbortController().signal)
    await Promise.race([channel.entered, served])
    served.catch(() => {})
  }
  return { links, enter }
}

describe('witness: what peers may cost has a bound', () => {
  it('in observers; members come in beside them', async () => {
    const { links, enter } = await openLinks()
    for (let i = 0; i < MAX_OBSERVERS; i++) await enter(observer(`observer-${i}`))
    await assert.rejects(enter(observer('one-more')), { code: 'LINK_PROTOCOL' })
    await enter(await seated('member'))
    assert.equal(links.peers.length, MAX_OBSERVERS + 1)
    await links.stop()
  })

  it('in streams of one peer', async () => {
    const { links, enter } = await openLinks()
    for (let i = 0; i < MAX_SESSIONS_PER_PEER; i++) await enter(await seated('member'))
    await assert.rejects(enter(await seated('member')), { code: 'LINK_PROTOCOL' })
    await links.stop()
  })

  it('in bytes that wait for one peer, which don’t hold up another', async () => {
    const { links, enter } = await openLinks()
    const [slow, quick] = [await seated('slow'), observer('quick')]
    await enter(slow)
    await enter(quick)
    const reads = Promise.withResolvers<void>()
    slow.gate = reads.promise
    const size = MAX_OUTBOX_BYTES / 8
    const note = { type: 'note', topic: 'x', bytes: new Uint8Array(size - 1024) } as const
    const sent: number[] = []
    for (let i = 0; i < 10; i++) {
      sent.push(links.send(['slow', 'quick'], note))
      await turn()
    }
    assert.deepEqual(sent.slice(7), [2, 1, 1])
    reads.resolve()
    await turn()
    assert.equal(links.send(['slow'], note), 1)
    await links.stop()
  })

  it('in answers under way to one peer', async () => {
    let asked = 0
    const reads = Promise.withResolvers<void>()
    const keeper = {
      // As the disk does: it takes its time.
      block: async () => {
        asked += 1
        await reads.promise
        return null
      }
    }
    const answers = new Answers({ keeper: keeper as unknown as BlockKeeper, log: { warn: () => assert.fail() } })
    const ask = (peer: string): void =>
      answers.give(peer, { type: 'fetch', keys: [new Uint8Array(32)] }, { sendSlowly: none })
    for (let i = 0; i < MAX_ANSWERS_PER_PEER + 5; i++) ask('greedy')
    ask('other')
    await turn()
    assert.equal(asked, MAX_ANSWERS_PER_PEER + 1)
    reads.resolve()
    await turn()
    ask('greedy')
    await turn()
    assert.equal(asked, MAX_ANSWERS_PER_PEER + 2)
  })

  /** An agreement of which each message that comes decides a commit. */
  function hasty() {
    const handled: ConsensusEvent[] = []
    const broken: string[] = []
    const consensus = {
      handle: (event: ConsensusEvent) => {
        handled.push(event)
        if (event.type === 'spare') {
          const rule = event.from
          return [{ type: 'misbehaviour', author: 0, key: member.publicKey, rule, blocks: [] }]
        }
        return event.type === 'blocks' ? [{ type: 'commit', commit: {} }] : []
      }
    }
    const components = {
      consensus: consensus as unknown as Consensus,
      keeper: { stop: none, flush: none },
      evidence: { note: () => {} },
      clock: { now: () => 0 },
      monotonic: () => 0,
      send: () => {},
      log: { error: (data: object) => assert.fail(JSON.stringify(data)) }
    }
    // What of these such messages come to.
    const agreement = new Agreement(components as unknown as AgreementComponents, {
      network: NETWORK,
      onEpoch: () => {},
      onTransactions: () => {},
      onBroken: key => broken.push(key),
      seatOf: () => null,
      memberOf: () => null
    })
    agreement.start([])
    return { agreement, handled, broken }
  }

  it('in commits that wait for the ledger, and in events that wait for them; then nobody is read on', async () => {
    const { agreement, handled } = hasty()
    const hear = (): Promise<unknown> => agreement.receive('peer', { type: 'blocks', blocks: [], answer: true })
    for (let i = 0; i < MAX_UNEXECUTED + MAX_INBOX - 1; i++) await hear()
    let read = false
    const last = hear().then(() => (read = true))
    await turn()
    assert.deepEqual([agreement.commits.size, handled.length, read], [MAX_UNEXECUTED, MAX_UNEXECUTED + 1, false])
    const { signal } = new AbortController()
    for (let i = 0; i < MAX_UNEXECUTED + MAX_INBOX; i++) await agreement.commits.next(signal)
    await last
    await agreement.stop()
  })

  it('in broken rules: its link hears of each, of two blocks for a round not', async () => {
    const { agreement, broken } = hasty()
    for (const rule of ['V3 quorum of parents', EQUIVOCATION, 'R26 reveal'])
      agreement.feed({ type: 'spare', from: rule, author: new Uint8Array() })
    await turn()
    await agreement.stop()
    assert.deepEqual(broken, [toHex(member.publicKey), toHex(member.publicKey)])
  })
})
