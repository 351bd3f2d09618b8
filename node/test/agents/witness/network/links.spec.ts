import assert from 'node:assert/strict'
import { encodeCbor, equalBytes, type Signer } from '@pekka/node/protocol'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { createNetworkHost, peerKeyFromSeed, type MessageChannel, type NetworkHost } from '@pekka/node/host/network'
import { MAX_BROKEN, WITNESS_PROTOCOL } from '../../../../src/agents/witness/network/constants.js'
import { WitnessLinks, type Said } from '../../../../src/agents/witness/network/links.js'
import { helloMessage } from '../../../../src/agents/witness/network/messages.js'
import { seed } from '../support.js'
import { startHost } from './committee.js'

const NETWORK = new Uint8Array(32).fill(7)
const silent = { info: () => {}, warn: () => {} }

describe('witness: links between witnesses', () => {
  let host: NetworkHost
  let stranger: NetworkHost
  let links: WitnessLinks
  let address = ''
  const heard: Said[] = []
  const member = createSigner(seed())
  let peersChanged: () => void = () => {}

  beforeEach(async () => {
    heard.length = 0
    host = createNetworkHost({ key: await peerKeyFromSeed(seed()) }, { listen: ['/ip4/127.0.0.1/tcp/0'] })
    stranger = await startHost()
    await host.start()
    address = host.addresses()[0] ?? ''
    links = new WitnessLinks(
      {
        host,
        signer: createSigner(seed()),
        verifier: createVerifier(),
        log: silent,
        monotonic: () => performance.now()
      },
      {
        network: NETWORK,
        addresses: [],
        isMember: key => equalBytes(key, member.publicKey),
        commit: () => 12,
        onPeers: () => peersChanged(),
        onMessage: async (_, message) => {
          heard.push(message)
          return message.type === 'blocks' ? 'broken' : 'taken'
        }
      }
    )
    await links.start()
  })
  afterEach(async () => {
    await links.stop()
    await Promise.all([host.stop(), stranger.stop()])
  })

  /** Introduces the stranger with a block key whose signature is for `peer`. */
  async function open(signer: Signer, peer = stranger.peerId, network = NETWORK): Promise<MessageChannel> {
    const channel = await stranger.open(address, WITNESS_PROTOCOL)
    const signature = await signer.sign(helloMessage(network, peer))
    await channel.send(encodeCbor({ type: 'hello', v: 1, network, key: signer.publicKey, signature, commit: 40 }))
    return channel
  }
  const connected = (): Promise<void> => new Promise(resolve => (peersChanged = resolve))

  it('know a member by its block key, and how far it was', async () => {
    const entered = connected()
    await open(member)
    await entered
    assert.deepEqual(links.peers, [stranger.peerId])
    assert.equal(links.keyOf(stranger.peerId), Buffer.from(member.publicKey).toString('hex'))
    assert.equal(links.commitOf(stranger.peerId), 40)
  })

  it('take a signature that was made for another peer for none', async () => {
    const entered = connected()
    await open(member, host.peerId)
    await entered
    assert.equal(links.keyOf(stranger.peerId), null)
  })

  it('refuse another network', async () => {
    const channel = await open(member, stranger.peerId, new Uint8Array(32).fill(8))
    await channel.closed
    assert.deepEqual(links.peers, [])
  })

  it('cut a peer off that sends what no witness sends, and let it in no more for a while', async () => {
    const channel = await open(member)
    for (let i = 0; i < MAX_BROKEN; i++) {
      await channel.send(encodeCbor({ type: 'blocks', blocks: [new Uint8Array([1])], answer: false }))
    }
    await channel.closed
    assert.equal(heard.length, MAX_BROKEN)
    // The reset may come before the stream is even open here.
    const again = await open(member).catch(() => null)
    await again?.closed
    assert.deepEqual(links.peers, [])
    assert.equal(heard.length, MAX_BROKEN)
  })

  it('cut a member off whose blocks break rules again and again, and nobody else', async () => {
    const channel = await open(member)
    const bystander = await startHost()
    const other = await bystander.open(address, WITNESS_PROTOCOL)
    const signer = createSigner(seed())
    const signature = await signer.sign(helloMessage(NETWORK, bystander.peerId))
    const both = new Promise<void>(resolve => {
      peersChanged = () => links.peers.length === 2 && resolve()
    })
    await other.send(encodeCbor({ type: 'hello', v: 1, network: NETWORK, key: signer.publicKey, signature, commit: 0 }))
    await both
    const key = Buffer.from(member.publicKey).toString('hex')
    for (let i = 0; i < MAX_BROKEN; i++) links.accuseMember(key)
    await channel.closed
    const again = await open(member).catch(() => null)
    await again?.closed
    assert.deepEqual(links.peers, [bystander.peerId])
    await bystander.stop()
  })

  it('end a stream that says what isn’t in the protocol', async () => {
    const channel = await open(member)
    await channel.send(encodeCbor({ type: 'fetch', keys: [new Uint8Array(5)] }))
    await channel.closed
    assert.deepEqual(heard, [])
  })
})
