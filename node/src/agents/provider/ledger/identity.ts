import { join } from 'node:path'
import type { PrivateKey } from '@libp2p/interface'
import { readSigner, writeSigner } from '@pekka/node/host/crypto'
import { loadPeerKey } from '@pekka/node/host/network'
import {
  PekkaError,
  accountId,
  decodeCanonical,
  equalBytes,
  genesisSchema,
  networkId,
  peerVouchMessage,
  type AccountView,
  type Clock,
  type LedgerAccess,
  type Random,
  type Signer
} from '@pekka/node/protocol'
import { AgentGrant } from './agent-grant.js'
import { FAUCET_BOND } from '../constants.js'
import { LedgerLane } from './ledger-lane.js'

/** The three keys of a provider: its account's, its agent's (a delegate that signs all of a task), its peer's. */
export interface Identity {
  network: Uint8Array
  /** The provider's account. */
  provider: Uint8Array
  account: Signer
  agent: Signer
  peerKey: PrivateKey
  /** Public half of the peer key, 32 bytes. */
  peer: Uint8Array
}

/** Reads the keys; the agent's and the peer's are made where they are missing. `directory` is the provider's own. */
export async function loadIdentity(
  network: Uint8Array,
  accountFile: string,
  directory: string,
  random: Random
): Promise<Identity> {
  const account = await readOrMake(accountFile, random)
  const agent = await readOrMake(join(directory, 'agent.key'), random)
  const peerKey = await loadPeerKey(join(directory, 'peer.key'))
  return {
    network,
    provider: accountId({ threshold: 1, keys: [account.publicKey] }),
    account,
    agent,
    peerKey,
    peer: peerKey.publicKey.raw
  }
}

async function readOrMake(file: string, random: Random): Promise<Signer> {
  try {
    return await readSigner(file)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    return await writeSigner(file, random.bytes(32))
  }
}

export interface JoinComponents {
  ledger: LedgerAccess
  clock: Clock
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

/**
 * Brings the ledger to where this provider can publish asks: the account is open, the provider registered under its name and peer
 * key (each vouches for the other), the bond there, the agent's key granted. What is done already is left alone, so it runs at
 * every start.
 *
 * @throws PekkaError NETWORK_MISMATCH; FUNDS_MISSING where the bond needs credits and there is no faucet; the ledger's own codes
 */
export async function joinLedger(
  { ledger, clock, log }: JoinComponents,
  identity: Identity,
  init: { name: string; bond: bigint },
  signal?: AbortSignal
): Promise<void> {
  const genesis = genesisSchema.parse(decodeCanonical(await ledger.genesis(signal)))
  if (!equalBytes(networkId(genesis), identity.network)) throw new PekkaError('NETWORK_MISMATCH', {})
  const { network, provider, account, peer } = identity
  const lane = new LedgerLane({ ledger, clock }, { network, account: provider, signer: account, lane: 'account' })
  const { parameters } = await ledger.time(signal)

  if ((await ledger.account(provider, signal)) === null) {
    const policy = { threshold: 1, keys: [account.publicKey] }
    await lane.apply({ kind: 'open-account', policy, deposit: parameters.openDeposit }, signal)
    log.info({}, 'the account is open')
  }
  const view = await needAccount(ledger, provider, signal)
  const missing = init.bond - view.bond
  if (missing > 0n && view.balance < missing && view.faucetDrawn + FAUCET_BOND <= parameters.faucetLimit) {
    await lane.apply({ kind: 'faucet', amount: FAUCET_BOND }, signal)
  }
  const known = await ledger.provider(provider, signal)
  if (known === null || known.name !== init.name || !equalBytes(known.peerKey, peer)) {
    const peerSignature = new Uint8Array(await identity.peerKey.sign(peerVouchMessage(network, provider)))
    const operator = known?.operator ?? null
    await lane.apply({ kind: 'register-provider', name: init.name, operator, peerKey: peer, peerSignature }, signal)
    log.info({ name: init.name }, 'registered')
  }
  if (missing > 0n) await lane.apply({ kind: 'bond', amount: missing }, signal)
  await new AgentGrant({ ledger, clock, log }, identity).ensure(signal)
}

async function needAccount(ledger: LedgerAccess, account: Uint8Array, signal?: AbortSignal): Promise<AccountView> {
  const view = await ledger.account(account, signal)
  if (view === null) throw new PekkaError('ACCOUNT_UNKNOWN', { account: 'of this provider' })
  return view
}
