import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import fc from 'fast-check'
import {
  decodeSigned,
  fromBase64,
  genesisSchema,
  decodeCanonical,
  encodeCanonical,
  sha256,
  SPINE_PARAMETERS,
  STANDARD_BANDWIDTH,
  toBase64,
  toHex,
  transactionId,
  utf8,
  type Policy
} from '@pekka/node/protocol'
import { executeCommit, genesisState, type VerifiedTransaction } from '@pekka/node/ledger'
import { bytes, dump, FULL_PARAMETERS } from './support.js'
import {
  auctionMoveArbitrary,
  finish,
  moveArbitrary,
  sessionMoveArbitrary,
  startWalk,
  step,
  type Move
} from './walk.js'
import { keyMoveArbitrary, ownerMoveArbitrary, REGISTRARS } from './walk-owners.js'

/**
 * History that was recorded once: random walks with everything switched on, their transactions as they were sent, and what became
 * of them. Every version of the rules, on every Node that is supported, must come to the same bytes. A change of the rules that is meant
 * writes it anew: `PEKKA_WRITE_VECTORS=1`.
 */
const FILE = new URL('replay.jsonl', import.meta.url)

interface Recorded {
  what: string
  genesis: string
  /** Timestamp, transactions in base64, the hash of the header that came of it, and who brought each of them, where that counts. */
  commits: [number, string[], string, number[]?][]
  /** SHA-256 over all rows of the state at the end. */
  state: string
}

interface Walked {
  what: string
  moves: fc.Arbitrary<Move>
  full: boolean
  /** Where it isn't the place in the list: one that comes to much. */
  seed?: number
  length?: number
  images?: Policy
  /** Blocks of three witnesses bring it, who may bring little in vain. */
  includers?: boolean
}

const WALKS: Walked[] = [
  { what: 'anything, all money', moves: moveArbitrary, full: true },
  { what: 'anything', moves: moveArbitrary, full: false },
  { what: 'sessions', moves: sessionMoveArbitrary, full: true },
  { what: 'auctions', moves: auctionMoveArbitrary, full: true },
  { what: 'stakes and images', moves: ownerMoveArbitrary, full: true, seed: 42, length: 70, images: REGISTRARS },
  {
    what: 'keys, with a quota',
    moves: keyMoveArbitrary,
    full: false,
    seed: 11,
    length: 50,
    images: REGISTRARS,
    includers: true
  }
]

/** What the record must hold, among much else. */
const HOLDS = [
  ...['offer', 'commit', 'auction-open', 'auction-reveal', 'stake', 'unstake', 'set-policy', 'open-account'],
  ...['set-recovery', 'recover', 'cancel-recovery', 'image-propose', 'image-approve', 'image-retire']
]
  .map(kind => `${kind} applied`)
  .concat('RATE_LIMITED')

/** Bytes that a witness may bring in vain: a few transactions. */
const QUOTA = 3_000
const WITNESSES = [70, 71, 72].map(seed => bytes(seed))
const includerOf = ({ id }: VerifiedTransaction): number => (id[0] ?? 0) % WITNESSES.length
const witnessAt = (place: number): Uint8Array => WITNESSES[place] ?? assert.fail()

function record(): Recorded[] {
  return WALKS.map(({ what, moves, full, seed, length = 40, images, includers = false }, place) => {
    const short = { contestWindowMs: 20_000, unbondMs: 30_000, trancheMs: 15_000 }
    const bandwidth = { ...STANDARD_BANDWIDTH, includerBytes: QUOTA }
    const parameters = { ...(full ? FULL_PARAMETERS : SPINE_PARAMETERS), ...short, ...(includers && { bandwidth }) }
    const walk = startWalk(parameters, images)
    if (includers) walk.market.chain.includerOf = transaction => witnessAt(includerOf(transaction))
    const [sequence = []] = fc.sample(fc.array(moves, { minLength: length, maxLength: length }), {
      numRuns: 1,
      seed: seed ?? 7 + place
    })
    for (const move of sequence) step(walk, move)
    finish(walk)
    const { chain } = walk.market
    const commits = chain.results.map(({ header, message, ordered, refused }, i): Recorded['commits'][number] => {
      // What is refused leaves no trace, unless it counts against who brought it: then it stays in its place.
      const input = chain.inputs[i] ?? assert.fail()
      const sent = includers ? input.transactions : [...ordered, ...refused].map(({ transaction }) => transaction)
      const transactions = sent.map(transaction => toBase64(transaction.bytes))
      const commit: Recorded['commits'][number] = [header.timestamp, transactions, toHex(message)]
      if (input.includers !== undefined) commit.push(sent.map(includerOf))
      return commit
    })
    return { what, genesis: toBase64(encodeCanonical(chain.genesis)), commits, state: digest(dump(chain.state)) }
  })
}

const digest = (rows: readonly string[]): string => toHex(sha256(utf8(rows.join('\n'))))

describe('recorded history', () => {
  it('comes to the same headers, outcomes and rows', async () => {
    if (process.env['PEKKA_WRITE_VECTORS'] !== undefined)
      await writeFile(
        FILE,
        record()
          .map(one => `${JSON.stringify(one)}\n`)
          .join('')
      )
    const lines = (await readFile(FILE, 'utf8')).trimEnd().split('\n')
    // This file is ours.
    const recorded = lines.map(line => JSON.parse(line) as Recorded)
    const met = new Set<string>()
    for (const { what, genesis, commits, state: end } of recorded) {
      const state = genesisState(genesisSchema.parse(decodeCanonical(fromBase64(genesis))))
      const final = new Set<string>()
      for (const [timestamp, transactions, message, includers] of commits) {
        const read = transactions.map((text): VerifiedTransaction => {
          const sent = fromBase64(text)
          const signed = decodeSigned(sent)
          return { ...signed, id: transactionId(signed.transaction), bytes: sent }
        })
        const witness = new Uint8Array(32).map((_, i) => (8 * 31 + i * 7) & 255)
        const result = executeCommit(state, {
          timestamp,
          transactions: read,
          ...(includers !== undefined && { includers: includers.map(witnessAt) }),
          witness,
          isFinal: id => final.has(toHex(id))
        })
        assert.equal(toHex(result.message), message, `${what}: commit ${result.header.index}`)
        state.write(result.writes)
        for (const { outcome } of result.ordered) final.add(toHex(outcome.id))
        for (const { transaction, outcome } of [...result.ordered, ...result.refused]) {
          met.add(`${transaction.transaction.body.kind} ${'code' in outcome ? outcome.code : outcome.status}`)
          if ('code' in outcome) met.add(outcome.code)
        }
      }
      assert.equal(digest(dump(state)), end, what)
    }
    assert.deepEqual(
      HOLDS.filter(one => !met.has(one)),
      []
    )
  })
})
