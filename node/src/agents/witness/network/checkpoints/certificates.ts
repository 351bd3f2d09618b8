import {
  decodeCertificate,
  isPekkaError,
  verifyCertificate,
  type Certificate,
  type Verifier
} from '@pekka/node/protocol'
import type { LedgerStore } from '@pekka/node/host/storage'
import { MAX_CERTIFICATES, MAX_CERTIFICATES_BYTES, type MadeCheckpoint } from './checkpoint-messages.js'

/** Stored certificates of checkpoints after a commit, ascending, as many as one answer holds. */
export async function certificatesAfter(
  store: Pick<LedgerStore, 'checkpointFrom'>,
  after: number
): Promise<Uint8Array[]> {
  const certificates: Uint8Array[] = []
  let bytes = 0
  for (let from = after + 1; certificates.length < MAX_CERTIFICATES;) {
    const stored = await store.checkpointFrom(from)
    if (stored === null || bytes + stored.certificate.length > MAX_CERTIFICATES_BYTES) break
    certificates.push(stored.certificate)
    bytes += stored.certificate.length
    from = stored.index + 1
  }
  return certificates
}

/** What a peer gave as a certificate; null: it is none. */
export function readAny(bytes: Uint8Array): Certificate | null {
  try {
    return decodeCertificate(bytes)
  } catch {
    return null
  }
}

/** Whether a quorum of the committee that made a checkpoint has signed a certificate about the same commit. */
export async function holds(
  certificate: Certificate,
  { checkpoint, members }: MadeCheckpoint,
  verifier: Verifier
): Promise<boolean> {
  const { network, epoch } = checkpoint
  try {
    await verifyCertificate(certificate, { network, epoch, members }, verifier)
    return true
  } catch (error) {
    if (isPekkaError(error)) return false
    throw error
  }
}
