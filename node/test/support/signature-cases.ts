import { fromHex, type Verifier } from '@pekka/node/protocol'

/** docs/vectors/signatures.json: malleated S, small order, points that aren't canonical, torsion. Bytes are hexadecimal. */
export interface SignatureVectors {
  vectors: { name: string; publicKey: string; message: string; signature: string; valid: boolean }[]
}

/**
 * Names of the vectors on which a verifier answers otherwise than the one rule (core/protocol/ledger/signature.ts). One name is enough to split
 * the ledger: a transaction that some accept and others refuse. Without a test runner, so that a page can run it too.
 */
export async function disagreements({ vectors }: SignatureVectors, verifier: Verifier): Promise<string[]> {
  const names: string[] = []
  for (const { name, publicKey, message, signature, valid } of vectors) {
    const said = await verifier.verify(fromHex(publicKey), fromHex(message), fromHex(signature))
    if (said !== valid) names.push(`${said ? 'accepts' : 'refuses'}: ${name}`)
  }
  return names
}
