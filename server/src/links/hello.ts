import {
  PekkaError,
  equalBytes,
  helloMessage,
  type AccountView,
  type LedgerAccess,
  type ProviderMessage,
  type Verifier
} from '@pekka/node/protocol'
import { publicKeyOfPeer } from '@pekka/node/host/network'

export type Hello = Extract<ProviderMessage, { kind: 'hello' }>

export interface HelloComponents {
  ledger: LedgerAccess
  verifier: Verifier
  /** The network's id and this bridge's key. */
  network: Uint8Array
  bridge: Uint8Array
}

/**
 * Peer and account vouch for each other: the ledger has the account's word for this peer key, and an agent of the account
 * signs for this very link.
 * @returns the account, whose lanes say which keys may sign for it
 * @throws PekkaError NETWORK_MISMATCH, PEER_NOT_VOUCHED
 */
export async function checkHello(
  { ledger, verifier, network, bridge }: HelloComponents,
  hello: Hello,
  nonce: Uint8Array,
  peer: string,
  now: number
): Promise<AccountView> {
  if (!equalBytes(hello.network, network)) throw new PekkaError('NETWORK_MISMATCH')
  const key = publicKeyOfPeer(peer)
  if (key === null) throw new PekkaError('PEER_NOT_VOUCHED')
  const [provider, account] = await Promise.all([ledger.provider(hello.provider), ledger.account(hello.provider)])
  if (provider === null || account === null || !equalBytes(provider.peerKey, key))
    throw new PekkaError('PEER_NOT_VOUCHED')
  const message = helloMessage(network, bridge, nonce, key, hello.provider)
  const signed = await verifier.verify(hello.key, message, hello.signature)
  if (!signed || !isAgent(account, hello.key, now)) throw new PekkaError('PEER_NOT_VOUCHED')
  return account
}

/** Whether a key may act as the account's agent: a delegate that may accept tasks, not expired. */
export function isAgent(account: AccountView, key: Uint8Array, now: number): boolean {
  return account.lanes.some(
    ({ delegate }) =>
      delegate !== null && equalBytes(delegate.key, key) && delegate.expiry > now && delegate.bodies.includes('accept')
  )
}
