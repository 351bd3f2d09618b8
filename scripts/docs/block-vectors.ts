/**
 * Makes docs/vectors/blocks.json: four rounds of blocks of a committee of four, the commits that they decide, their randomness and
 * votes on them, bytes that are no blocks, and a batch of transactions as it is gossiped. `npm run docs:vectors`; a test fails while the file is behind.
 */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { createSigner } from '@pekka/node/host/crypto'
import {
  Consensus,
  drawFor,
  firstBeacon,
  genesisReferences,
  openedBlock,
  referenceTo,
  RevealChain,
  STANDARD_PACE,
  STANDARD_PARAMETERS,
  Upgrades,
  type OpenedBlock
} from '@pekka/node/consensus'
import {
  accountId,
  commitVoteDigest,
  encodeBatch,
  encodeCanonical,
  encodeSigned,
  encodeWitnessBlock,
  sha256,
  signingMessage,
  toHex,
  transactionId,
  transactionsTopic,
  utf8,
  witnessBlockMessage,
  type BlockReference,
  type Transaction,
  type WitnessBlock
} from '@pekka/node/protocol'

export const BLOCK_VECTORS = fileURLToPath(new URL('../../docs/vectors/blocks.json', import.meta.url))

/** 32 bytes that anyone can make: SHA-256 of a name. */
const fixed = (name: string): Uint8Array => sha256(utf8(name))

const BEGAN = 1_800_000_000_000
const NAMES = ['A', 'B', 'C', 'D']
const CHAIN_LENGTH = 8

/** A transfer of a fixed account, so that one block carries something. */
function signedTransfer(network: Uint8Array) {
  const signer = createSigner(fixed('payer'))
  const account = accountId({ threshold: 1, keys: [signer.publicKey] })
  const transaction: Transaction = {
    v: 1,
    network,
    account,
    key: null,
    sequence: 0,
    previous: null,
    parents: [network],
    expiry: BEGAN + 60_000,
    body: { kind: 'transfer', to: fixed('payee'), amount: 2n ** 40n }
  }
  return { signer, transaction }
}

export async function blockVectors(): Promise<string> {
  const network = fixed('network')
  const signers = NAMES.map(name => createSigner(fixed(`witness ${name}`)))
  const chains = NAMES.map(name => new RevealChain(fixed(`chain ${name}`), CHAIN_LENGTH))
  const members = signers.map(({ publicKey }, i) => ({
    key: publicKey,
    stake: BigInt(i + 1),
    tip: chains[i]?.tip ?? network
  }))
  const { signer, transaction } = signedTransfer(network)
  const signature = await signer.sign(signingMessage(transaction))
  const signed = { transaction, signatures: [{ key: signer.publicKey, signature }] }
  const payload = { ...signed, id: transactionId(transaction), bytes: encodeSigned(signed) }

  const blocks: OpenedBlock[] = []
  const genesis = genesisReferences(network, 0, network, NAMES.length)
  for (let round = 1; round <= 4; round++) {
    const before: BlockReference[] = round === 1 ? genesis : blocks.slice(-NAMES.length).map(referenceTo)
    for (const [author, witness] of signers.entries()) {
      const own = before.filter(reference => reference.author === author)
      const others = before.filter(reference => reference.author !== author)
      const carries = round === 1 && author === 1
      const block: WitnessBlock = {
        v: 1,
        network,
        epoch: 0,
        author,
        round,
        timestamp: BEGAN + 100 * round + author,
        parents: [...own, ...others],
        weak: [],
        transactions: carries ? [payload.bytes] : [],
        votes: [],
        reveal: chains[author]?.at(round) ?? network
      }
      const id = sha256(encodeCanonical(block))
      const vouched = await witness.sign(witnessBlockMessage(network, id))
      blocks.push(openedBlock({ block, signature: vouched }, carries ? [payload] : []))
    }
  }

  const observer = new Consensus(
    { revealChain: () => new RevealChain(fixed('nobody'), 1) },
    {
      network,
      key: null,
      upgrades: new Upgrades([{ from: 0, value: STANDARD_PARAMETERS }]),
      pace: STANDARD_PACE,
      resume: {
        start: {
          epoch: 0,
          members,
          nextMembers: null,
          firstIndex: 0,
          history: network,
          timestamp: BEGAN,
          beacon: firstBeacon(network)
        },
        commits: [],
        blocks: [],
        lastProposed: null,
        lost: false
      }
    }
  )
  const now = { elapsed: 0, wall: BEGAN + 1_000 }
  const effects = observer.handle({ type: 'blocks', from: 'file', blocks, answer: true }, now)
  const commits = effects.flatMap(effect => (effect.type === 'commit' ? [effect.commit] : []))
  const first = blocks[0]
  if (first === undefined) throw new TypeError('no blocks')
  const changed = (change: Partial<WitnessBlock>): string =>
    toHex(encodeWitnessBlock({ block: { ...first.block, ...change }, signature: new Uint8Array(64) }))
  const state = fixed('state')
  const vectors = {
    network: toHex(network),
    epoch: 0,
    members: members.map(({ key, stake, tip }) => ({ key: toHex(key), stake: String(stake), tip: toHex(tip) })),
    genesis: genesis.map(({ id }) => toHex(id)),
    blocks: blocks.map(({ block, id, bytes }) => ({
      author: block.author,
      round: block.round,
      bytes: toHex(bytes),
      id: toHex(id),
      message: toHex(witnessBlockMessage(network, id))
    })),
    commits: commits.map(({ core, digest, transactions }) => ({
      core: toHex(encodeCanonical(core)),
      digest: toHex(digest),
      transactions: transactions.map(({ id }) => toHex(id)),
      vote: { state: toHex(state), digest: toHex(commitVoteDigest(digest, state)) },
      draw: { task: toHex(fixed('task')), attempt: 1, value: toHex(drawFor(core.randomness, fixed('task'), 1)) }
    })),
    batch: batchVector(network, blocks),
    refused: [
      { name: 'round 0', bytes: changed({ round: 0 }), code: 'BLOCK_INVALID' },
      { name: 'no parents', bytes: changed({ parents: [] }), code: 'BLOCK_INVALID' },
      { name: 'a reveal of 31 bytes', bytes: changed({ reveal: network.slice(1) }), code: 'BLOCK_INVALID' },
      { name: 'a byte behind the end', bytes: `${toHex(first.bytes)}00`, code: 'ENCODING_NOT_CANONICAL' }
    ]
  }
  return `${JSON.stringify(vectors, null, 2)}\n`
}

/** A batch as witnesses gossip it: what the blocks carry, and what is none. */
function batchVector(network: Uint8Array, blocks: readonly OpenedBlock[]) {
  const transactions = blocks.flatMap(block => block.transactions.map(({ bytes }) => bytes))
  const bytes = encodeBatch(transactions)
  return {
    topic: transactionsTopic(network),
    transactions: transactions.map(toHex),
    bytes: toHex(bytes),
    id: toHex(sha256(bytes)),
    refused: [
      { name: 'empty', bytes: toHex(encodeBatch([])) },
      { name: 'a byte behind the end', bytes: `${toHex(bytes)}00` },
      { name: 'version 2', bytes: toHex(encodeCanonical({ v: 2, transactions })) }
    ]
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(BLOCK_VECTORS, await blockVectors())
