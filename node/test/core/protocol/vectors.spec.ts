import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import {
  decodeBatch,
  decodeWitnessBlock,
  fromHex,
  toHex,
  trustSchema,
  verifyEquivocation,
  verifyProof,
  type Fact
} from '@pekka/node/protocol'
import { createVerifier } from '@pekka/node/host/crypto'
import { BLOCK_VECTORS, blockVectors } from '../../../../scripts/docs/block-vectors.js'
import { EVIDENCE_VECTORS, evidenceVectors } from '../../../../scripts/docs/evidence-vectors.js'
import { PROOF_VECTORS, proofVectors } from '../../../../scripts/docs/proof-vectors.js'
import { SEALING_VECTORS, sealingVectors } from '../../../../scripts/docs/sealing-vectors.js'

describe('docs/vectors/sealing.json', () => {
  it('is what the code makes: keys, bundle, box, frame, chain and commitment of version 1 have not changed', async () => {
    assert.equal(await sealingVectors(), await readFile(SEALING_VECTORS, 'utf8'))
  })
})

interface ProofVectors {
  trust: { network: string; epoch: number; members: [string, string][] }
  proofs: { name: string; proof: string; facts: unknown[] }[]
  refused: { name: string; proof: string }[]
}

describe('docs/vectors/proofs.json', () => {
  // The file is ours, and what follows reads every field of it.
  const read = async (): Promise<ProofVectors> => JSON.parse(await readFile(PROOF_VECTORS, 'utf8')) as ProofVectors
  const trustOf = ({ trust: { network, epoch, members } }: ProofVectors) =>
    trustSchema.parse({
      network: fromHex(network),
      epoch,
      members: members.map(([key, stake]) => [fromHex(key), BigInt(stake)])
    })

  it('is what the code makes: trees, checkpoints and proofs of version 1 have not changed', async () => {
    assert.equal(await proofVectors(), await readFile(PROOF_VECTORS, 'utf8'))
  })

  it('every proof shows its facts, and every bad one is refused', async () => {
    const vectors = await read()
    for (const { name, proof, facts } of vectors.proofs) {
      const shown = await verifyProof(fromHex(proof), trustOf(vectors), createVerifier())
      assert.equal(shown.facts.length, facts.length, name)
      for (const [at, fact] of shown.facts.entries()) assert.ok(agree(fact, facts[at]), name)
    }
    for (const { name, proof } of vectors.refused) {
      await assert.rejects(
        verifyProof(fromHex(proof), trustOf(vectors), createVerifier()),
        { code: 'PROOF_INVALID' },
        name
      )
    }
  })

  const agree = (fact: Fact, said: unknown): boolean => {
    const { row, key, id } = said as { row?: string | null; key?: string; id?: string } // one of our file's two kinds
    if (fact.kind === 'transaction') return id === toHex(fact.id)
    return key === toHex(fact.id) && (row === null) === (fact.row === null)
  }
})

describe('docs/vectors/blocks.json', () => {
  it('is what the code makes: blocks, commits, votes and randomness of version 1 have not changed', async () => {
    const text = await readFile(BLOCK_VECTORS, 'utf8')
    assert.equal(await blockVectors(), text)
    const { commits } = JSON.parse(text) as { commits: { transactions: string[] }[] } // our own file
    assert.deepEqual(
      commits.map(({ transactions }) => transactions.length),
      [0, 1],
      'B1 is in the history of the second leader'
    )
  })

  it('every block is read, and what is no block is refused with its code', async () => {
    // The file is ours, and what follows reads these fields.
    const { blocks, refused } = JSON.parse(await readFile(BLOCK_VECTORS, 'utf8')) as {
      blocks: { bytes: string; round: number; author: number }[]
      refused: { name: string; bytes: string; code: string }[]
    }
    for (const { bytes, round, author } of blocks) {
      const { block } = decodeWitnessBlock(fromHex(bytes))
      assert.deepEqual([block.round, block.author], [round, author])
    }
    for (const { name, bytes, code } of refused) assert.throws(() => decodeWitnessBlock(fromHex(bytes)), { code }, name)
  })

  it('a gossiped batch is read, and what is none is refused', async () => {
    const { batch } = JSON.parse(await readFile(BLOCK_VECTORS, 'utf8')) as {
      batch: { transactions: string[]; bytes: string; refused: { name: string; bytes: string }[] }
    }
    assert.deepEqual(decodeBatch(fromHex(batch.bytes))?.map(toHex), batch.transactions)
    for (const { name, bytes } of batch.refused) assert.equal(decodeBatch(fromHex(bytes)), null, name)
  })
})

describe('docs/vectors/evidence.json', () => {
  it('is what the code makes (npm run docs:vectors)', async () => {
    assert.equal(await readFile(EVIDENCE_VECTORS, 'utf8'), await evidenceVectors())
  })

  it('shows an equivocation once, and nothing else of it does', async () => {
    const { network, evidence, refused } = JSON.parse(await readFile(EVIDENCE_VECTORS, 'utf8')) as {
      network: string
      evidence: { bytes: string; key: string }
      refused: { name: string; bytes: string }[]
    }
    const check = (bytes: string) => verifyEquivocation(fromHex(bytes), fromHex(network), createVerifier())
    assert.equal(toHex((await check(evidence.bytes)).key), evidence.key)
    for (const { name, bytes } of refused) await assert.rejects(check(bytes), { name: 'PekkaError' }, name)
  })
})

describe('docs/vectors, read by a second implementation (vectors.py, sealing_vectors.py)', function () {
  // Curves in plain Python take half a second on an idle machine, and many times that on a busy one.
  this.timeout(120_000)
  const folder = fileURLToPath(new URL('../../../../docs/vectors', import.meta.url))
  const programs = ['vectors.py', 'sealing_vectors.py']
  const python = process.env['PEKKA_TEST_PYTHON'] ?? 'python3'
  const run = async (program: string, from: string): Promise<Record<string, number>> => {
    const path = fileURLToPath(new URL(program, import.meta.url))
    const { stdout } = await promisify(execFile)(python, ['-I', path, from])
    return JSON.parse(stdout) as Record<string, number> // what the program prints
  }

  it('signatures, transactions, headers, trees, proofs, keys, seals and chains mean the same to it, of every file', async () => {
    const [first, second] = await Promise.all(programs.map(program => run(program, folder)))
    const counts = { ...first, ...second }
    assert.ok((counts['signatures'] ?? 0) >= 60 && (counts['transactions'] ?? 0) >= 25 && (counts['proofs'] ?? 0) >= 30)
    assert.equal(counts['blocks'], 16)
    assert.equal(counts['evidence'], 12)
    assert.ok((counts['primitives'] ?? 0) >= 50 && (counts['sealing'] ?? 0) >= 20)
    // None is left out.
    const files = (await readdir(folder)).map(name => name.replace(/\.json$/, ''))
    assert.deepEqual(Object.keys(counts).sort(), files.sort())
  })

  it('finds one changed digit in each file', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'pekka-vectors-'))
    try {
      const changes: [string, RegExp][] = [
        ['signatures.json', /"valid": true/],
        ['transactions.json', /"id": "[0-9a-f]{64}"/],
        ['proofs.json', /"root": "[0-9a-f]{64}"/],
        ['blocks.json', /"digest": "[0-9a-f]{64}"/],
        ['evidence.json', /"key": "[0-9a-f]{64}"/],
        ['primitives.json', /"shared": "[0-9a-f]{64}"/],
        ['sealing.json', /"head1": "[0-9a-f]{64}"/]
      ]
      for (const [name, place] of changes) {
        await cp(folder, copy, { recursive: true })
        const text = await readFile(join(copy, name), 'utf8')
        const changed = text.replace(place, found =>
          found.includes('true')
            ? '"valid": false'
            : found.replace(/[0-9a-f]"$/, last => (last[0] === '0' ? '1"' : '0"'))
        )
        assert.notEqual(changed, text)
        await writeFile(join(copy, name), changed)
        const program = /primitives|sealing/.test(name) ? 'sealing_vectors.py' : 'vectors.py'
        await assert.rejects(run(program, copy), /AssertionError/)
      }
    } finally {
      await rm(copy, { recursive: true, force: true })
    }
  })
})
