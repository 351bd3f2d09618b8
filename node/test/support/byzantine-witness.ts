/**
 * A dishonest witness as a process: `byzantine-witness.ts --settings FILE`, with the settings of the witness process. Its consensus, ledger and
 * connections are the real ones; what it says isn't:
 *
 *   equivocates   of three peers one gets another block of the same round, signed as well
 *   withholds     another one gets none of its blocks, and it asks nobody for what it lacks in one case of two
 *   lies in sync  answers hold blocks of other rounds, the same one a thousand times, or nothing at all
 *   exaggerates   its hello and its ledger's clock name a commit a billion ahead of the last one
 */
import { readFile } from 'node:fs/promises'
import {
  decodeCbor,
  decodeCanonical,
  decodeWitnessBlock,
  encodeCbor,
  encodeWitnessBlock,
  genesisSchema,
  networkId,
  toHex,
  witnessBlockId,
  witnessBlockMessage,
  type LedgerAccess
} from '@pekka/node/protocol'
import { createVerifier, readSigner, systemClock } from '@pekka/node/host/crypto'
import { createNetworkHost, loadPeerKey, serveLedger } from '@pekka/node/host/network'
import { createLedgerStore } from '@pekka/node/host/storage'
import { parseSettings } from '@pekka/node/agents/witness'
import { createCommitteeLedger, LastProposed, serveStatus } from '../../src/agents/witness/network/index.js'
import { firstEpoch } from '../../src/agents/witness/network/founding/first-epoch.js'
import { WITNESS_MESSAGE_BYTES, WITNESS_PROTOCOL } from '../../src/agents/witness/network/constants.js'
import { witnessMessageSchema, type WitnessMessage } from '../../src/agents/witness/network/messages.js'
import { LyingHost } from './lying-host.js'

const FAR = 1_000_000_000

const path = process.argv.slice(2).find(argument => argument !== '--settings')
if (path === undefined) throw new TypeError('usage: byzantine-witness --settings FILE')
const settings = parseSettings(path, JSON.parse(await readFile(path, 'utf8')))
const genesis = new Uint8Array(await readFile(settings.genesis))
const content = genesisSchema.parse(decodeCanonical(genesis))
const network = networkId(content)
const signer = await readSigner(settings.blockKey)
// By place in the committee, which isn't the genesis' order.
const { members } = firstEpoch(content, network, content.agreement?.seats ?? content.witnesses.length)
const own = members.findIndex(({ key }) => toHex(key) === toHex(signer.publicKey))
if (own === -1) throw new TypeError('this witness has no seat')
const words = { info: () => {}, warn: () => {}, error: (data: object, text: string) => console.error(text, data) }

const met: string[] = []

/** Which lie a peer is told: the same one all the time, and of three peers each another one. */
function kindOf(peer: string): 'nothing' | 'twin' | 'truth' {
  if (!met.includes(peer)) met.push(peer)
  return (['nothing', 'twin', 'truth'] as const)[met.indexOf(peer) % 3] ?? 'truth'
}

/** Another block in the place of an own one. */
async function twin(bytes: Uint8Array): Promise<Uint8Array> {
  const { block } = decodeWitnessBlock(bytes)
  const other = { ...block, timestamp: block.timestamp + 1 }
  const signature = await signer.sign(witnessBlockMessage(network, witnessBlockId(other)))
  return encodeWitnessBlock({ block: other, signature })
}

const isOwn = (bytes: Uint8Array): boolean => decodeWitnessBlock(bytes).block.author === own

/** Counts what it does, so that a test can see that it did something. */
const lies = { twins: 0, withheld: 0, answers: 0, heights: 0 }
let turn = 0
/** A block of some time ago, for false answers. */
let old: Uint8Array | null = null

async function blocks(peer: string, message: Extract<WitnessMessage, { type: 'blocks' }>): Promise<WitnessMessage[]> {
  if (message.answer) {
    lies.answers += 1
    const [first] = message.blocks
    const wrong = old ?? first
    if (turn++ % 4 === 0 || wrong === undefined) return [{ ...message, blocks: [] }]
    if (turn % 4 === 1) return [{ ...message, blocks: [wrong] }]
    if (turn % 4 === 2) {
      const times = Math.min(1_000, Math.floor(WITNESS_MESSAGE_BYTES / 2 / wrong.length))
      return [{ ...message, blocks: Array.from({ length: times }, () => wrong) }]
    }
    return [message]
  }
  const said: Uint8Array[] = []
  for (const bytes of message.blocks) {
    if (!isOwn(bytes)) said.push(bytes)
    else if (kindOf(peer) === 'nothing') lies.withheld += 1
    else if (kindOf(peer) === 'twin') {
      lies.twins += 1
      said.push(await twin(bytes))
    } else said.push(bytes)
    if (turn++ % 64 === 0) old = bytes
  }
  return said.length === 0 ? [] : [{ ...message, blocks: said }]
}

async function tamper(protocol: string, peer: string, bytes: Uint8Array): Promise<readonly Uint8Array[]> {
  if (protocol !== WITNESS_PROTOCOL) return [bytes]
  const message = witnessMessageSchema.parse(decodeCbor(bytes))
  switch (message.type) {
    case 'hello':
      lies.heights += 1
      return [encodeCbor({ ...message, commit: FAR })]
    case 'blocks':
      return (await blocks(peer, message)).map(each => encodeCbor(each))
    case 'fetch':
      return turn++ % 2 === 0 ? [] : [bytes]
    default:
      return [bytes]
  }
}

const host = new LyingHost(
  createNetworkHost({ key: await loadPeerKey(settings.peerKey) }, { listen: settings.listen }),
  tamper
)
const components = {
  store: createLedgerStore({ folder: settings.data }),
  host,
  signer,
  verifier: createVerifier(),
  lastProposed: new LastProposed(settings.lastProposed),
  clock: systemClock,
  log: words
}
const { ledger, sequencer } = createCommitteeLedger(components, { genesis, peers: settings.peers })
const lying = new Proxy<LedgerAccess>(ledger, {
  get(target, name) {
    if (name === 'time') return async () => ({ ...(await target.time()), index: FAR })
    const value: unknown = Reflect.get(target, name, target)
    return typeof value === 'function' ? value.bind(target) : value
  }
})
await serveStatus(host, sequencer)
await serveLedger(host, lying)
await host.start()
process.on('disconnect', () => process.exit(0))
process.on('SIGTERM', () => process.exit(0))
process.on('message', () => process.send?.({ lies }))
process.send?.({ ready: true, addresses: host.addresses() })
await ledger.start()
