import { z } from 'zod'
import {
  accountId,
  encodeCanonical,
  equalBytes,
  fromHex,
  PekkaError,
  taggedHash,
  toHex,
  type Genesis,
  type Parameters,
  type Policy,
  type Signer,
  type Verifier
} from '@pekka/node/protocol'
import type { ConsensusParameters } from '@pekka/node/consensus'
import { agreeingGenesis, chainEnds } from './genesis.js'

/** Epochs that a record registers its witness for; the witness registers itself for later ones. Making a chain takes some 0.3 s. */
const RECORD_EPOCHS = 4
/** Largest record that is read, bytes. */
export const MAX_RECORD_BYTES = 64 << 10

const hex = (bytes: number): z.ZodString => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`))
const whole = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)

const statementSchema = z.strictObject({
  kind: z.literal('pekka/witness-record'),
  v: z.literal(1),
  /** Of the network to be: the ends of the hash chains depend on it, so all its first witnesses have the same. */
  nonce: hex(16),
  /** How it agrees; all the same too. */
  parameters: z.strictObject({
    leadersPerRound: whole,
    gcDepth: whole,
    epochCommits: whole,
    epochRounds: whole,
    seats: whole
  }),
  /** Its block key. */
  key: hex(32),
  /** The one key of the account that stakes on it. */
  owner: hex(32),
  /** Ends of its hash chains for epochs 0, 1, … (R26). */
  tips: z.array(hex(32)).min(2).max(8),
  /** Where others reach it, each with `/p2p/…`. Not in the genesis: a witness may move. */
  addresses: z.array(z.string().max(256)).max(8)
})
const recordSchema = statementSchema.extend({ signature: hex(64) })

/** What a witness tells of itself to whoever makes the genesis of a network. Nothing in it is secret. */
export type WitnessRecord = z.infer<typeof recordSchema>

export interface WitnessRecordInit {
  /** The block key and its seed. */
  signer: Signer & { seed: Uint8Array }
  /** Key of the account that stakes on it. */
  owner: Uint8Array
  nonce: Uint8Array
  parameters: ConsensusParameters
  addresses: readonly string[]
}

/** Signed by the block key, so that nobody puts his own account behind another's witness. */
export async function makeRecord({
  signer,
  owner,
  nonce,
  parameters,
  addresses
}: WitnessRecordInit): Promise<WitnessRecord> {
  const { leadersPerRound, gcDepth, epochCommits, epochRounds, seats } = parameters
  const statement = {
    kind: 'pekka/witness-record' as const,
    v: 1 as const,
    nonce: toHex(nonce),
    parameters: { leadersPerRound, gcDepth, epochCommits, epochRounds, seats },
    key: toHex(signer.publicKey),
    owner: toHex(owner),
    tips: chainEnds({ seed: signer.seed, nonce, parameters }, 0, RECORD_EPOCHS).map(toHex),
    addresses: [...addresses]
  }
  return { ...statement, signature: toHex(await signer.sign(recordMessage(statement))) }
}

/** What the block key signs: the record without its signature. */
export const recordMessage = (statement: Omit<WitnessRecord, 'signature'>): Uint8Array =>
  taggedHash('pekka/witness-record/v1', encodeCanonical(statement))

/** @throws PekkaError USAGE: it is no record, or its signature doesn't hold */
export async function readRecord(text: string, verifier: Verifier): Promise<WitnessRecord> {
  const refuse = (issue: string): never => {
    throw new PekkaError('USAGE', { issue })
  }
  if (text.length > MAX_RECORD_BYTES) refuse('It is too large for the record of a witness.')
  const parsed = recordSchema.safeParse(parseOrNothing(text))
  if (!parsed.success) return refuse('It is no record of a witness, as "pekka witness init" writes it.')
  const { signature, ...statement } = parsed.data
  if (!(await verifier.verify(fromHex(statement.key), recordMessage(statement), fromHex(signature))))
    refuse('It was changed after its witness signed it.')
  return parsed.data
}

/** The account that stakes on a witness. */
export const ownerPolicy = ({ owner }: Pick<WitnessRecord, 'owner'>): Policy => ({
  threshold: 1,
  keys: [fromHex(owner)]
})

export interface RecordsGenesisInit {
  name: string
  createdAt: number
  /** A witness with what is staked on it, micro-credits. */
  witnesses: readonly { record: WitnessRecord; stake: bigint }[]
  /** What the account of each witness has besides, so that it can send transactions. */
  balance: bigint
  /** Others who begin with credits. */
  accounts: readonly { policy: Policy; balance: bigint }[]
  /** What the faucet holds; 0n: there is none. */
  faucet: bigint
  parameters: Parameters
  /** Whose signatures the network's list of images needs. */
  images?: Policy
}

/**
 * The genesis of a network whose first witnesses belong to different people. Equal records in any order give equal committees: they
 * stand in the order of their keys.
 * @throws PekkaError USAGE: the records don't fit together
 */
export function genesisOfRecords(init: RecordsGenesisInit): Genesis {
  const [first] = init.witnesses
  if (first === undefined) throw new PekkaError('USAGE', { issue: 'A network has at least one witness.' })
  const { nonce, parameters } = first.record
  for (const { record } of init.witnesses) {
    if (record.nonce !== nonce || !equalBytes(encodeCanonical(record.parameters), encodeCanonical(parameters)))
      throw new PekkaError('USAGE', {
        issue: `The record of ${record.key.slice(0, 8)} is for another network than that of ${first.record.key.slice(0, 8)}. All but the first are made with "pekka witness init --like RECORD".`
      })
  }
  const sorted = [...init.witnesses].sort((a, b) => (a.record.key < b.record.key ? -1 : 1))
  const twice = sorted.find(({ record }, i) => record.key === sorted[i - 1]?.record.key)
  if (twice !== undefined)
    throw new PekkaError('USAGE', { issue: `The witness ${twice.record.key.slice(0, 8)} stands twice.` })
  const owners = new Map(sorted.map(({ record }) => [record.owner, ownerPolicy(record)]))
  return agreeingGenesis({
    base: {
      v: 1,
      name: init.name,
      createdAt: init.createdAt,
      nonce: fromHex(nonce),
      parameters: init.parameters,
      witnesses: [],
      accounts: [...[...owners.values()].map(policy => ({ policy, balance: init.balance })), ...init.accounts],
      faucet: init.faucet,
      ...(init.images === undefined ? {} : { images: init.images })
    },
    members: sorted.map(({ record, stake }) => ({
      key: fromHex(record.key),
      stake,
      account: accountId(ownerPolicy(record)),
      tips: record.tips.map(fromHex)
    })),
    parameters
  })
}

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
