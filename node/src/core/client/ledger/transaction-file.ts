import { z } from 'zod'
import {
  MAX_TRANSACTION_BYTES,
  PekkaError,
  base64,
  decodeCanonical,
  encodeCanonical,
  equalBytes,
  hex32,
  toBase64,
  toHex,
  transactionSchema
} from '../../protocol/index.js'
import type { PartlySigned } from './owner.js'

/** A transaction on its way from one owner to the next, as JSON: its canonical bytes, and who has signed them so far. */
const fileSchema = z.strictObject({
  kind: z.literal('pekka/transaction'),
  v: z.literal(1),
  /** Canonical bytes of the transaction, without signatures. */
  transaction: base64(MAX_TRANSACTION_BYTES),
  signatures: z.array(z.strictObject({ key: hex32, signature: base64(64) })).max(16)
})

export const writeTransactionFile = ({ transaction, signatures }: PartlySigned): string => {
  const file = {
    kind: 'pekka/transaction',
    v: 1,
    transaction: toBase64(encodeCanonical(transaction)),
    signatures: signatures.map(({ key, signature }) => ({ key: toHex(key), signature: toBase64(signature) }))
  }
  return `${JSON.stringify(file, null, 2)}\n`
}

/** No signature is verified here. @throws PekkaError TRANSACTION_FILE */
export function readTransactionFile(text: string): PartlySigned {
  try {
    const { transaction, signatures } = fileSchema.parse(JSON.parse(text))
    if (signatures.some(({ signature }) => signature.length !== 64))
      throw new TypeError('a signature of another length')
    return { transaction: transactionSchema.parse(decodeCanonical(transaction)), signatures }
  } catch (cause) {
    throw new PekkaError('TRANSACTION_FILE', {}, { cause })
  }
}

/** One transaction that several have signed apart, with all of their signatures. @throws PekkaError TRANSACTION_FILE */
export function joinSigned([first, ...more]: readonly PartlySigned[]): PartlySigned {
  if (first === undefined) throw new PekkaError('TRANSACTION_FILE')
  const bytes = encodeCanonical(first.transaction)
  const signatures = [...first.signatures]
  for (const { transaction, signatures: others } of more) {
    if (!equalBytes(bytes, encodeCanonical(transaction))) throw new PekkaError('TRANSACTION_FILE')
    signatures.push(...others.filter(({ key }) => !signatures.some(known => equalBytes(known.key, key))))
  }
  return { transaction: first.transaction, signatures }
}
