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
  toBase64,
  toHex,
  transactionId,
  utf8
} from '@pekka/node/protocol'
import { executeCommit, genesisState, type VerifiedTransaction } from '@pekka/node/ledger'
import { dump, FULL_PARAMETERS } from './support.js'
import {
  auctionMoveArbitrary,
  finish,
  moveArbitrary,
  sessionMoveArbitrary,
  startWalk,
  step,
  type Move
} from './walk.js'

/**
 * History that was recorded once: random walks with everything switched on, their transactions as they were sent, and what became
 * of them. Every version of the rules, on every Node that is supported, must come to the same bytes. A change of the rules that is meant
 * writes it anew: `PEKKA_WRITE_VECTORS=1`.
 */
const FILE = new URL('replay.jsonl', import.meta.url)

interface Recorded {
  what: string
  genesis: string
  /** Timestamp, transactions in base64, and the hash of the header that came of it. */
  commits: [number, string[], string][]
  /** SHA-256 over all rows of the state at the end. */
  state: string
}

const WALKS: [string, fc.Arbitrary<Move>, boolean][] = [
  ['anything, all money', moveArbitrary, true],
  ['anything', moveArbitrary, false],
  ['sessions', sessionMoveArbitrary, true],
  ['auctions', auctionMoveArbitrary, true]
]

function record(): Recorded[] {
  return WALKS.map(([what, moves, full], place) => {
    const short = { contestWindowMs: 20_000, unbondMs: 30_000, trancheMs: 15_000 }
    const walk = startWalk({ ...(full ? FULL_PARAMETERS : SPINE_PARAMETERS), ...short })
    const [sequence = []] = fc.sample(fc.array(moves, { minLength: 40, maxLength: 40 }), {
      numRuns: 1,
      seed: 7 + place
    })
    for (const move of sequence) step(walk, move)
    finish(walk)
    const { chain } = walk.market
    const commits = chain.results.map(({ header, message, ordered, refused }): Recorded['commits'][number] => [
      header.timestamp,
      [...ordered, ...refused].map(({ transaction }) => toBase64(transaction.bytes)),
      toHex(message)
    ])
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
    for (const { what, genesis, commits, state: end } of recorded) {
      const state = genesisState(genesisSchema.parse(decodeCanonical(fromBase64(genesis))))
      const final = new Set<string>()
      for (const [timestamp, transactions, message] of commits) {
        const read = transactions.map((text): VerifiedTransaction => {
          const bytes = fromBase64(text)
          const signed = decodeSigned(bytes)
          return { ...signed, id: transactionId(signed.transaction), bytes }
        })
        const witness = new Uint8Array(32).map((_, i) => (8 * 31 + i * 7) & 255)
        const result = executeCommit(state, {
          timestamp,
          transactions: read,
          witness,
          isFinal: id => final.has(toHex(id))
        })
        assert.equal(toHex(result.message), message, `${what}: commit ${result.header.index}`)
        state.write(result.writes)
        for (const { outcome } of result.ordered) final.add(toHex(outcome.id))
      }
      assert.equal(digest(dump(state)), end, what)
    }
  })
})
