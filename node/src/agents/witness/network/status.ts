import { z } from 'zod'
import { PekkaError } from '@pekka/node/protocol'
import { request, serveRequests, type NetworkHost, type RequestOptions } from '@pekka/node/host/network'
import type { CommitteeSequencer } from './committee-sequencer.js'

/** `/pekka/witness-status/1`: how a witness of a committee is doing. Nothing here is secret; nobody vouches for it but the witness. */
export const STATUS_PROTOCOL = '/pekka/witness-status/1'

const count = z.number().int()

/** Times in ms; null: no transaction of a client of this witness was final yet. */
export const agreementStatusSchema = z.strictObject({
  /** Index of the last commit that is executed and on disk, −1 before the first: the ledger's height. */
  commit: count,
  /** Index of the last commit that a quorum has vouched for. */
  certified: count,
  /** Index of the oldest commit that it keeps, and about how many bytes its history takes on disk. Not told by a witness of before. */
  first: count.optional(),
  historyBytes: count.optional(),
  epoch: count,
  /** Of the latest own block in this epoch. */
  round: count,
  /** Block keys with their stakes, hex and decimal. */
  committee: z.array(z.strictObject({ key: z.string(), stake: z.string() })),
  /** Whether it writes blocks now. */
  writes: z.boolean(),
  /** Peers that are connected: peer id, and block key where it has proven one. */
  peers: z.array(z.strictObject({ peer: z.string(), key: z.string().nullable() })),
  /** Transactions that wait to be ordered, and blocks that wait for others. */
  mempool: count,
  waiting: count,
  finalityP50: z.number().nullable(),
  finalityP95: z.number().nullable(),
  /** Rounds in which a witness wrote two blocks, since this one started; and those of which it keeps the evidence, the oldest first. */
  equivocations: count.default(0),
  equivocated: z
    .array(z.strictObject({ key: z.string(), epoch: count, round: count, blocks: z.tuple([z.string(), z.string()]) }))
    .default([])
})
export type AgreementStatus = z.infer<typeof agreementStatusSchema>

export async function serveStatus(host: NetworkHost, sequencer: Pick<CommitteeSequencer, 'status'>): Promise<void> {
  await serveRequests(host, STATUS_PROTOCOL, z.strictObject({}), async () => {
    const status = await sequencer.status()
    if (status === null) throw new PekkaError('LEDGER_UNREACHABLE')
    return status
  })
}

/** Asks a witness. @throws PekkaError as `request` */
export const requestStatus = (
  host: NetworkHost,
  address: string,
  options: RequestOptions = {}
): Promise<AgreementStatus> => request(host, address, STATUS_PROTOCOL, {}, agreementStatusSchema, options)
