import {
  accountId,
  CREDIT,
  DEVNET_PARAMETERS,
  MAX_CREDITS,
  networkId,
  PekkaError,
  toHex,
  type Genesis,
  type Parameters,
  type Policy
} from '../protocol/index.js'
import { newAccount, putFreshAccount } from './account.js'
import { putRegistry } from './image.js'
import { SYSTEM } from './rows.js'
import { MemoryState } from './view.js'

/**
 * The state before the first commit.
 * @throws PekkaError TRANSACTION_INVALID when an account or a witness stands twice, a witness has nobody who staked on it, or the supply
 * is too large
 */
export function genesisState(genesis: Genesis): MemoryState {
  const state = new MemoryState()
  let supply = genesis.faucet
  for (const { policy, balance } of genesis.accounts) {
    if (state.get('account', toHex(accountId(policy))) !== undefined) {
      throw new PekkaError('TRANSACTION_INVALID', { issue: 'the genesis names an account twice' })
    }
    putFreshAccount(state, newAccount(policy, balance, null))
    supply += balance
  }
  supply += stakeAtGenesis(state, genesis)
  // Then no sum of any amounts of this network can leave a field's range.
  if (supply > MAX_CREDITS) throw new PekkaError('TRANSACTION_INVALID', { issue: 'the supply is too large' })
  putRegistry(state, genesis)
  const network = networkId(genesis)
  state.put('parameters', String(genesis.parameters.id), genesis.parameters)
  state.put('system', SYSTEM, {
    network,
    index: -1,
    timestamp: genesis.createdAt,
    contractTime: genesis.createdAt,
    head: network,
    tips: [network],
    parameters: genesis.parameters.id,
    supply,
    faucet: genesis.faucet,
    fund: 0n
  })
  return state
}

/**
 * A committee's stakes and the ends of its hash chains, as `stake` would have left them, so that the first elections find them.
 * @returns what is staked in all; 0n where one witness decides alone
 */
function stakeAtGenesis(state: MemoryState, { witnesses, agreement }: Genesis): bigint {
  if (agreement === undefined) return 0n
  const refuse = (issue: string): never => {
    throw new PekkaError('TRANSACTION_INVALID', { issue })
  }
  if (agreement.members.length !== witnesses.length) refuse('the genesis names other members than witnesses')
  let staked = 0n
  agreement.members.forEach(({ account, tips }, i) => {
    const { key, stake } = witnesses[i] ?? refuse('the genesis names other members than witnesses')
    if (state.get('witness', toHex(key)) !== undefined) refuse('the genesis names a witness twice')
    if (state.get('account', toHex(account)) === undefined) refuse('nobody has staked on a witness')
    if (stake <= 0n) refuse('a stake is positive')
    const chains = tips.map((tip, epoch) => ({ epoch, tip }))
    state.put('witness', toHex(key), { account, witness: key, stake, chains })
    staked += stake
  })
  return staked
}

/** What the demo account of an embedded devnet starts with (UX: "10 practice credits"). */
export const PRACTICE_CREDITS = 10n * CREDIT
/** What each provider of a devnet starts with; enough to bond for any factor that is tried out. */
export const PROVIDER_CREDITS = 1_000n * CREDIT
/** What a devnet's faucet holds: a thousand accounts may draw their limit of 1,000 credits. */
export const FAUCET_CREDITS = 1_000_000n * CREDIT

export interface DevnetInit {
  name?: string
  createdAt: number
  /** 16 random bytes. */
  nonce: Uint8Array
  /** Ed25519 block key of the witness. */
  witness: Uint8Array
  /** The demo account, held by the wallet: gets PRACTICE_CREDITS. */
  demo: Policy
  /** Accounts of the embedded providers: each gets PROVIDER_CREDITS. */
  providers: readonly Policy[]
  parameters?: Parameters
  /** Whose signatures the list of images needs. */
  images?: Policy
}

/**
 * The first state of an embedded devnet: one witness, a funded demo account, providers with money for their bonds, and a
 * faucet. Pure; keys are made by the caller.
 */
export const createDevnetGenesis = (init: DevnetInit): Genesis => ({
  v: 1,
  name: init.name ?? 'devnet',
  createdAt: init.createdAt,
  nonce: init.nonce,
  parameters: init.parameters ?? DEVNET_PARAMETERS,
  witnesses: [{ key: init.witness, stake: 1n }],
  accounts: [
    { policy: init.demo, balance: PRACTICE_CREDITS },
    ...init.providers.map(policy => ({ policy, balance: PROVIDER_CREDITS }))
  ],
  faucet: FAUCET_CREDITS,
  ...(init.images !== undefined && { images: init.images })
})
