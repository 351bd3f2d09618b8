import assert from 'node:assert/strict'
import { compareCourses, courseOf, type CourseAge, type LedgerCourse } from '@pekka/node/client'
import { sha256 } from '@pekka/node/protocol'
import { createVerifier } from '@pekka/node/host/crypto'
import { HONEST, STOLEN, STRANGER, proofTo } from './proof-ways.js'

const verifier = createVerifier()
const invalid = (issue: RegExp) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'PROOF_INVALID' && issue.test(error.message)

async function course(...to: Parameters<typeof proofTo>): Promise<LedgerCourse> {
  const file = await proofTo(...to)
  return await courseOf(file, file.network, verifier)
}

describe('a proof beside one from before', () => {
  it('agrees with it in the same epoch and in later ones, and is told to be older where it is', async () => {
    const known = await course(HONEST, 1, 120)
    const cases: [number, number, CourseAge][] = [
      [1, 120, 'same'],
      [1, 121, 'newer'],
      [2, 203, 'newer'],
      [1, 119, 'older'],
      [0, 7, 'older']
    ]
    for (const [epoch, index, age] of cases)
      assert.equal(compareCourses(known, await course(HONEST, epoch, index)), age, `commit ${index}`)
  })

  it('is refused where its way leads past the committee that the one from before knew', async () => {
    const known = await course(HONEST, 1, 120)
    for (const [epoch, index] of [
      [1, 130],
      [2, 230]
    ] as const) {
      const forged = await course(STOLEN, epoch, index)
      assert.equal(forged.checkpoints.at(-1)?.index, index, 'the way from the genesis alone leads there')
      // Its first step names another committee for the epoch; an own one in place of that differs too.
      assert.throws(() => compareCourses(known, forged), invalid(/another committee for epoch 1|else of commit 5/))
    }
  })

  it('is refused where it says something else of the same commit', async () => {
    const known = await course(HONEST, 1, 120)
    const other = await course(HONEST, 1, 120, 1)
    assert.throws(() => compareCourses(known, other), invalid(/something else of commit 120/))
  })

  it('is refused where an epoch goes on after the one from before has left it', async () => {
    const known = await course(HONEST, 1, 120)
    const longer = await course(HONEST, 0, 121)
    // With the key of the first witness, which names the same second one.
    assert.throws(() => compareCourses(known, longer), invalid(/epochs and times can’t be/))
  })

  it('is refused on another network, and where it doesn’t hold by itself', async () => {
    const known = await course(HONEST, 1, 120)
    const other = sha256(known.network)
    assert.throws(() => compareCourses(known, { ...known, network: other }), invalid(/another network/))
    const file = await proofTo(STRANGER, 0, 7)
    await assert.rejects(courseOf(file, known.network, verifier), { code: 'PROOF_INVALID' })
    await assert.rejects(courseOf(file, other, verifier), invalid(/another network/))
  })
})
