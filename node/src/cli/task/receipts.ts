import { mkdir, readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../../host/files/index.js'
import { encodeReceipt } from '../../core/client/index.js'
import { PekkaError, toHex, type Receipt } from '../../core/protocol/index.js'

/** Receipts of this home: `<home>/receipts/<task>.receipt`, canonical bytes. */

/** Of a receipt of version 1. */
export const NO_PROOF = 'no proof: how it ended and what was paid is the bridge’s word'

/** What is said where a receipt was made that carries no proof; null: it carries one. */
export const missingProof = ({ v }: Pick<Receipt, 'v'>): string | null =>
  v === 1 ? `The receipt has ${NO_PROOF}.` : null

const directory = (home: string): string => join(home, 'receipts')

export async function saveReceipt(home: string, receipt: Receipt): Promise<string> {
  const folder = directory(home)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const path = join(folder, `${toHex(receipt.view.task)}.receipt`)
  await replaceFile(path, encodeReceipt(receipt))
  return path
}

/** The stored receipt whose task begins with `prefix`; null if there is none. @throws PekkaError USAGE where several are */
export async function findReceipt(home: string, prefix: string): Promise<{ path: string; bytes: Uint8Array } | null> {
  const names = await readdir(directory(home)).catch(() => [])
  const found = names.filter(name => name.startsWith(prefix.toLowerCase()) && name.endsWith('.receipt'))
  if (found.length > 1)
    throw new PekkaError('USAGE', { issue: `Several tasks begin with ${prefix}; give more of the id.` })
  const [name] = found
  if (name === undefined || prefix === '') return null
  const path = join(directory(home), name)
  return { path, bytes: new Uint8Array(await readFile(path)) }
}
