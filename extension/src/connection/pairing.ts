import {
  PekkaError,
  NONCE_BYTES,
  bytes32,
  bytes64,
  credits,
  deriveKey,
  equalBytes,
  fromProblem,
  isPekkaError,
  millis,
  pairAnswerMessage,
  pairAnswerSchema,
  pairInfo,
  pairProof,
  utf8,
  type AccountView,
  type Clock,
  type PairAnswer,
  type Primitives
} from '@pekka/node/protocol'
import { Http, type FetchLike } from '@pekka/node/client'
import { z } from 'zod'
import type { KeyStore } from '../crypto/index.js'
import { WALLET_NAME } from './constants.js'

/** What this browser profile was granted, as the key store keeps it beside the keys. */
const grantSchema = z.object({
  v: z.literal(1),
  network: bytes32,
  account: bytes32,
  cap: credits,
  perTask: credits,
  expiry: millis,
  /** Addresses of the bridge, as the wallet sees them. */
  bridges: z.array(z.string().max(512)).min(1),
  bridgeKey: bytes32,
  /** What the account's key signed, to be checked once the account's policy is known. */
  signed: bytes32,
  signature: bytes64
})
export type Grant = z.infer<typeof grantSchema>

/** Undefined for whatever another version wrote. */
export const readGrant = (kept: unknown): Grant | undefined => {
  const parsed = grantSchema.safeParse(kept)
  return parsed.success ? parsed.data : undefined
}

export interface PairingComponents {
  fetch: FetchLike
  primitives: Primitives
  keys: Pick<KeyStore, 'keys' | 'pair'>
  clock: Clock
}

/**
 * Exchanges a one-time code for a delegate of the account and the account's view key. The code itself isn't sent, the view key
 * comes sealed to a key of this exchange and goes into the key store unreadable.
 *
 * @param address of the wallet
 * @throws PekkaError PAIRING_FAILED, WALLET_UNREACHABLE, SIGNATURE_INVALID, SEAL_BROKEN
 */
export async function pair(
  { fetch, primitives, keys }: PairingComponents,
  address: string,
  code: string,
  signal?: AbortSignal
): Promise<Grant> {
  const { signer } = await keys.keys(WALLET_NAME)
  const exchange = await primitives.agreement.generate()
  const request = {
    v: 1 as const,
    proof: pairProof(utf8(code.trim()), signer.publicKey, exchange.publicKey),
    key: signer.publicKey,
    exchange: exchange.publicKey,
    label: 'JupyterLab'
  }
  const answer = await ask(new Http({ fetch }, { base: address }), request, signal)
  const viewSecret = await openViewKey(primitives, answer, signer.publicKey, exchange)
  const { signature, ...signed } = answer
  const grant: Grant = {
    v: 1,
    network: answer.network,
    account: answer.account,
    ...answer.delegate,
    bridges: answer.bridges,
    bridgeKey: answer.bridgeKey,
    signed: pairAnswerMessage(signed),
    signature
  }
  await keys.pair(WALLET_NAME, { viewSecret, grant })
  return grant
}

async function ask(http: Http, request: object, signal: AbortSignal | undefined): Promise<PairAnswer> {
  try {
    return await http.request('POST', '/v1/pair', pairAnswerSchema, { body: request, ...(signal && { signal }) })
  } catch (error) {
    // For the wallet's door the client knows the bridge's word only.
    if (isPekkaError(error) && error.code === 'BRIDGE_UNREACHABLE')
      throw new PekkaError('WALLET_UNREACHABLE', {}, { cause: error })
    throw error
  }
}

async function openViewKey(
  { agreement, aead }: Primitives,
  answer: PairAnswer,
  key: Uint8Array,
  exchange: { publicKey: Uint8Array; privateKey: Uint8Array }
): Promise<Uint8Array> {
  if (answer.viewKey.length <= 32) throw fromProblem({ code: 'SEAL_BROKEN' })
  const ephemeral = answer.viewKey.subarray(0, 32)
  const shared = await agreement.agree(exchange.privateKey, ephemeral)
  const info = pairInfo(answer.account, key, exchange.publicKey, ephemeral)
  return await aead.open(deriveKey(shared, info), new Uint8Array(NONCE_BYTES), answer.viewKey.subarray(32), info)
}

/**
 * Whether the pairing was signed by the account that it names: the account's policy is known from the ledger only, so this is
 * asked once the bridge answers.
 */
export async function vouched(
  { primitives }: Pick<PairingComponents, 'primitives'>,
  grant: Grant,
  account: AccountView
): Promise<boolean> {
  if (!equalBytes(account.account, grant.account)) return false
  for (const key of account.policy.keys)
    if (await primitives.verifier.verify(key, grant.signed, grant.signature)) return true
  return false
}
