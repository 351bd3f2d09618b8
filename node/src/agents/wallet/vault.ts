import { mkdir, readFile, chmod } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../../host/files/index.js'
import { z } from 'zod'
import { accountId, fromHex, toHex, type Policy, type Random, type Signer } from '../../core/protocol/index.js'
import { createSigner } from '../../host/crypto/index.js'

/** The secrets of one user: the account's key and the view key. They never leave this process but as PROTOCOL §10 says. */
export interface Vault {
  account: Uint8Array
  policy: Policy
  /** Signs for the account, lane 0. */
  owner: Signer
  /** 32 bytes; all task secrets derive from it (R6). */
  viewKey: Uint8Array
}

const fileSchema = z.strictObject({
  v: z.literal(1),
  ed25519: z.string().regex(/^[0-9a-f]{64}$/),
  viewKey: z.string().regex(/^[0-9a-f]{64}$/)
})

/**
 * Opens the wallet in `<home>/wallet/wallet.json` (mode 0600), or makes a new one there.
 * @throws TypeError where the file is not a wallet of this version; it is never overwritten.
 */
export async function openVault(home: string, random: Random): Promise<Vault> {
  const directory = join(home, 'wallet')
  const path = join(directory, 'wallet.json')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    text = `${JSON.stringify({ v: 1, ed25519: toHex(random.bytes(32)), viewKey: toHex(random.bytes(32)) })}\n`
    await replaceFile(path, text)
  }
  await chmod(path, 0o600)
  const parsed = fileSchema.safeParse(JSON.parse(text))
  if (!parsed.success) throw new TypeError(`${path} is not a wallet of this version; it was left as it is`)
  const owner = createSigner(fromHex(parsed.data.ed25519))
  const policy: Policy = { threshold: 1, keys: [owner.publicKey] }
  return { account: accountId(policy), policy, owner, viewKey: fromHex(parsed.data.viewKey) }
}
