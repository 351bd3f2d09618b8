import {
  PekkaError,
  checkpointDigest,
  decodeProof,
  equalBytes,
  verifyProof,
  type Checkpoint,
  type Verifier
} from '../../protocol/index.js'
import type { ProofFile } from './proof-file.js'
import { readAnchor } from './proven-ledger.js'

/**
 * A file from before as an anchor. The way from the genesis alone is as good as the keys of witnesses of long ago: who has got hold of
 * them can sign another one. Who has kept a proof demands that a new one says nothing else of what both speak of.
 */

/** What a file shows of the ledger's course, each checkpoint verified. */
export interface LedgerCourse {
  network: Uint8Array
  /** In the order of their commits; never empty. */
  checkpoints: readonly Checkpoint[]
}

/** How a file's last checkpoint stands to that of the file from before. */
export type CourseAge = 'older' | 'same' | 'newer'

const refuse = (issue: string): never => {
  throw new PekkaError('PROOF_INVALID', { issue })
}

/**
 * Every checkpoint of a file, from the genesis' committee on.
 * @param network the one that the reader trusts
 * @throws PekkaError PROOF_INVALID, ENCODING_NOT_CANONICAL
 */
export async function courseOf(
  { genesis, proof, way = [] }: Pick<ProofFile, 'genesis' | 'proof' | 'way'>,
  network: Uint8Array,
  verifier: Verifier
): Promise<LedgerCourse> {
  let trust = readAnchor(genesis, network)
  const checkpoints: Checkpoint[] = []
  for (const bytes of [...way, proof]) {
    ;({ trust } = await verifyProof(bytes, trust, verifier))
    // They were verified with it.
    const { steps, certificate } = decodeProof(bytes)
    checkpoints.push(...steps.map(step => step.certificate.checkpoint), certificate.checkpoint)
  }
  return { network, checkpoints }
}

/**
 * Demands that two files tell of one ledger: one checkpoint at a commit, one committee in an epoch, and epochs that follow one another
 * through both.
 * @returns how `shown` stands to what is `known`: an older one is no lie, but what it says may be over
 * @throws PekkaError PROOF_INVALID
 */
export function compareCourses(known: LedgerCourse, shown: LedgerCourse): CourseAge {
  if (!equalBytes(known.network, shown.network)) refuse('it is of another network than the file that you trust')
  const committees = new Map<number, Uint8Array>()
  const sits = (epoch: number, digest: Uint8Array | null): void => {
    if (digest === null) return
    const other = committees.get(epoch)
    if (other !== undefined && !equalBytes(other, digest))
      refuse(`it names another committee for epoch ${epoch} than the file that you trust`)
    committees.set(epoch, digest)
  }
  const all = [...known.checkpoints, ...shown.checkpoints].sort((a, b) => a.index - b.index)
  for (const [at, checkpoint] of all.entries()) {
    sits(checkpoint.epoch, checkpoint.committee)
    sits(checkpoint.epoch + 1, checkpoint.nextCommittee)
    const before = all[at - 1]
    if (before === undefined) continue
    if (before.index === checkpoint.index && !equalBytes(checkpointDigest(before), checkpointDigest(checkpoint)))
      refuse(`it says something else of commit ${checkpoint.index} than the file that you trust`)
    if (before.epoch > checkpoint.epoch || before.contractTime > checkpoint.contractTime)
      refuse('its epochs and times can’t be those of the file that you trust')
  }
  const [old, young] = [newest(known), newest(shown)]
  return young < old ? 'older' : young > old ? 'newer' : 'same'
}

const newest = ({ checkpoints }: LedgerCourse): number => Math.max(...checkpoints.map(({ index }) => index))
