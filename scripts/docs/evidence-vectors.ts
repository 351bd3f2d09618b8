/**
 * Makes docs/vectors/evidence.json: evidence of an equivocation with what it shows, and what is none. `npm run docs:vectors`; a test fails while the file
 * is behind.
 */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import {
  encodeCanonical,
  encodeWitnessBlock,
  makeEquivocation,
  sha256,
  toHex,
  utf8,
  verifyEquivocation,
  witnessBlockId,
  witnessBlockMessage,
  type WitnessBlock
} from '@pekka/node/protocol'

export const EVIDENCE_VECTORS = fileURLToPath(new URL('../../docs/vectors/evidence.json', import.meta.url))

/** 32 bytes that anyone can make: SHA-256 of a name. */
const fixed = (name: string): Uint8Array => sha256(utf8(name))
const NETWORK = fixed('network of the evidence')

export async function evidenceVectors(): Promise<string> {
  const [witness, stranger] = [createSigner(fixed('witness')), createSigner(fixed('stranger'))]
  const blockOf = (change: Partial<WitnessBlock> = {}): WitnessBlock => ({
    v: 1,
    network: NETWORK,
    epoch: 3,
    author: 1,
    round: 12,
    timestamp: 1_800_000_000_000,
    parents: [{ author: 1, round: 11, id: fixed('parent') }],
    weak: [],
    transactions: [],
    votes: [],
    reveal: fixed('reveal'),
    ...change
  })
  const signed = async (block: WitnessBlock, by = witness): Promise<Uint8Array> =>
    encodeWitnessBlock({
      block,
      signature: await by.sign(witnessBlockMessage(block.network, witnessBlockId(block)))
    })
  const { publicKey: key } = witness
  const [first, twin] = [await signed(blockOf()), await signed(blockOf({ timestamp: 1_800_000_000_001 }))]
  const evidence = makeEquivocation(key, first, twin)
  const shown = await verifyEquivocation(evidence, NETWORK, createVerifier())
  const pair = async (change: Partial<WitnessBlock>, by = witness): Promise<Uint8Array> =>
    makeEquivocation(key, first, await signed(blockOf({ timestamp: 1_800_000_000_001, ...change }), by))
  const inOrder = toHex(encodeCanonical({ v: 1, key, blocks: [first, twin] })) === toHex(evidence)
  const swapped = inOrder ? [twin, first] : [first, twin]
  const refused: [string, Uint8Array][] = [
    ['the same block twice', makeEquivocation(key, first, first)],
    ['another round', await pair({ round: 13 })],
    ['another epoch', await pair({ epoch: 4 })],
    ['another author', await pair({ author: 2 })],
    ['another network', await pair({ network: fixed('another network') })],
    ['one signed by a stranger', await pair({}, stranger)],
    ['a stranger accused', makeEquivocation(stranger.publicKey, first, twin)],
    ['the wrong order', encodeCanonical({ v: 1, key, blocks: swapped })],
    ['version 2', encodeCanonical({ v: 2, key, blocks: [first, twin] })],
    ['one block', encodeCanonical({ v: 1, key, blocks: [first] })],
    ['a byte too many', new Uint8Array([...evidence, 0])]
  ]
  return `${JSON.stringify(
    {
      network: toHex(NETWORK),
      evidence: {
        bytes: toHex(evidence),
        key: toHex(shown.key),
        epoch: shown.epoch,
        round: shown.round,
        blocks: shown.blocks.map(toHex)
      },
      refused: refused.map(([name, bytes]) => ({ name, bytes: toHex(bytes) }))
    },
    null,
    2
  )}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(EVIDENCE_VECTORS, await evidenceVectors())
