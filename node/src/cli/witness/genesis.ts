import {
  CREDIT,
  DEVNET_PARAMETERS,
  encodeCanonical,
  fromHex,
  networkId,
  PekkaError,
  SPINE_PARAMETERS,
  toHex,
  type Genesis,
  type Policy
} from '../../core/protocol/index.js'
import { genesisState } from '../../core/ledger/index.js'
import { genesisOfRecords, readRecord, type WitnessRecord } from '../../agents/witness/network/index.js'
import { createVerifier, systemClock } from '../../host/crypto/index.js'
import { replaceFile } from '../../host/files/index.js'
import { readText } from './files.js'

/** What is staked on a witness, and what its account has besides, where nobody says otherwise. */
export const DEFAULT_STAKE = 100n * CREDIT
export const DEFAULT_BALANCE = 10n * CREDIT

export interface MakeGenesisInit {
  name: string
  /** Paths of records with what is staked on each. */
  witnesses: readonly { path: string; stake: bigint }[]
  balance: bigint
  /** Keys of accounts that begin with credits, hex. */
  funds: readonly { key: string; balance: bigint }[]
  /** 0n: none. */
  faucet: bigint
  /** What opening an account locks, and what each task locks until it is closed (docs/ledger.md), micro-credits. */
  deposits: { open: bigint; task: bigint }
  /** Keys of whoever signs the list of images, hex, and how many of them must; none: no list. */
  images: { keys: readonly string[]; threshold: number }
  out: string
}

export interface MadeGenesis {
  network: string
  /** All credits there are. */
  supply: bigint
  witnesses: readonly { record: WitnessRecord; stake: bigint }[]
}

/** Writes the genesis of a network of several witnesses. @throws PekkaError USAGE, TRANSACTION_INVALID */
export async function makeGenesis(init: MakeGenesisInit): Promise<MadeGenesis> {
  const verifier = createVerifier()
  const witnesses: { record: WitnessRecord; stake: bigint }[] = []
  for (const { path, stake } of init.witnesses) {
    witnesses.push({
      record: await readNamed(path, () => readText(path).then(text => readRecord(text, verifier))),
      stake
    })
  }
  const genesis = genesisOfRecords({
    name: init.name,
    createdAt: systemClock.now(),
    witnesses,
    balance: init.balance,
    accounts: init.funds.map(({ key, balance }) => ({ policy: { threshold: 1, keys: [readKey(key)] }, balance })),
    faucet: init.faucet,
    parameters: {
      ...SPINE_PARAMETERS,
      ...(init.faucet > 0n && { faucetLimit: DEVNET_PARAMETERS.faucetLimit }),
      openDeposit: init.deposits.open,
      storageDeposit: init.deposits.task
    },
    ...(init.images.keys.length === 0 ? {} : { images: imagePolicy(init.images) })
  })
  // Refuses accounts that stand twice and a supply out of range.
  genesisState(genesis)
  await replaceFile(init.out, encodeCanonical(genesis), { mode: 0o644 })
  return { network: toHex(networkId(genesis)), supply: supplyOf(genesis), witnesses }
}

const supplyOf = ({ accounts, witnesses, faucet }: Genesis): bigint =>
  [...accounts.map(({ balance }) => balance), ...witnesses.map(({ stake }) => stake)].reduce((a, b) => a + b, faucet)

function imagePolicy({ keys, threshold }: MakeGenesisInit['images']): Policy {
  if (threshold > keys.length)
    throw new PekkaError('USAGE', {
      issue: `--image-threshold ${threshold} is more than there are --image-signer keys.`
    })
  return { threshold, keys: keys.map(readKey) }
}

function readKey(text: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/i.test(text))
    throw new PekkaError('USAGE', { issue: `"${text}" is no public key: 64 hexadecimal digits.` })
  return fromHex(text.toLowerCase())
}

/** Says which file a refusal is about. */
async function readNamed<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (!(error instanceof PekkaError) || error.code !== 'USAGE') throw error
    throw new PekkaError('USAGE', { issue: `${path}: ${String(error.data['issue'])}` }, { cause: error })
  }
}
