import {
  decodeSigned,
  peerVouchMessage,
  PekkaError,
  verifiedId,
  witnessVouchMessage,
  type SignedTransaction,
  type Verifier
} from '../protocol/index.js'
import type { VerifiedTransaction } from './commit.js'

/**
 * Reads a transaction from outside and checks what needs no state: canonical bytes, shape, every signature by the one strict
 * rule, and a provider's peer or a witness's block key vouching for the account. Each witness does this for each transaction before it is executed.
 * @param admit may refuse it, by throwing, before any signature is checked
 * @throws PekkaError ENCODING_NOT_CANONICAL, BODY_NOT_YET, TRANSACTION_INVALID, SIGNATURE_INVALID
 */
export async function verifyTransaction(
  bytes: Uint8Array,
  verifier: Verifier,
  admit?: (signed: SignedTransaction) => void
): Promise<VerifiedTransaction> {
  const signed = decodeSigned(bytes)
  admit?.(signed)
  const { body, network, account } = signed.transaction
  const id = await verifiedId(signed, verifier, bytes)
  if (id === null) throw new PekkaError('SIGNATURE_INVALID')
  if (body.kind === 'register-provider') {
    const vouched = await verifier.verify(body.peerKey, peerVouchMessage(network, account), body.peerSignature)
    if (!vouched) throw new PekkaError('PEER_NOT_VOUCHED')
  }
  if (body.kind === 'stake') {
    const vouched = await verifier.verify(body.witness, witnessVouchMessage(network, account), body.witnessSignature)
    if (!vouched) throw new PekkaError('SIGNATURE_INVALID')
  }
  return { ...signed, id, bytes }
}
