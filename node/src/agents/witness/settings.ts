import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { metricsSettings } from '@pekka/node/host/metrics'
import { MIN_KEPT_COMMITS, parseKeepHistory } from './keep-history.js'

/** Settings file of the witness process. Relative paths are taken from the file's folder. */
const fileSchema = z.object({
  /** Id of the network, hex; the genesis must have it. */
  network: z.string().regex(/^[0-9a-f]{64}$/),
  /** File with the canonical bytes of the genesis. */
  genesis: z.string(),
  /** Folder of the ledger's database. */
  data: z.string().default('ledger'),
  /** Folder of its snapshots, one at the end of each epoch; where a committee decides. */
  snapshots: z.string().default('snapshots'),
  /** A snapshot to begin with, where there is no ledger yet; null: other witnesses are asked for theirs. */
  snapshot: z.string().nullable().default(null),
  /** Key file of the witness's block key; the genesis names its public half. */
  blockKey: z.string().default('block.key'),
  /** Key file of the libp2p peer; made where it is missing. */
  peerKey: z.string().default('peer.key'),
  /** Multiaddresses to listen on. */
  listen: z.array(z.string()).min(1),
  announce: z.array(z.string()).optional(),
  /** Addresses of other witnesses, each with `/p2p/…`; where a committee decides. One that answers is enough. */
  peers: z.array(z.string()).default([]),
  /** The last own block, kept apart from the database; made with the block key (network/last-proposed.ts). */
  lastProposed: z.string().default('last-proposed'),
  /**
   * Key file of the account that stakes on this witness: it then registers itself for later epochs. Without it somebody else must, by
   * `stake` transactions, at least every six epochs.
   */
  accountKey: z.string().nullable().default(null),
  /** How much of the past it keeps: `all`, a time as `30d`, or a number of commits (keep-history.ts). What is older is deleted for good. */
  keepHistory: z
    .string()
    .default('all')
    .transform((text, context) => {
      const keep = parseKeepHistory(text)
      if (keep !== undefined) return keep
      context.addIssue(`all, a time such as 30d, or a number of commits from ${MIN_KEPT_COMMITS} on`)
      return z.NEVER
    }),
  /** Serves `GET /metrics` there (docs/metrics.md); null: nowhere. */
  metrics: metricsSettings.nullable().default(null),
  /** Tells its parent process, over IPC, whom it can't reach and for how many it waits. */
  notices: z.boolean().default(false),
  readyFile: z.string(),
  logLevel: z.string().default('info')
})
export type WitnessSettings = z.infer<typeof fileSchema>

/** @throws ZodError */
export function parseSettings(path: string, content: unknown): WitnessSettings {
  const settings = fileSchema.parse(content)
  const at = (name: string): string => resolve(dirname(path), name)
  return {
    ...settings,
    genesis: at(settings.genesis),
    data: at(settings.data),
    snapshots: at(settings.snapshots),
    snapshot: settings.snapshot === null ? null : at(settings.snapshot),
    blockKey: at(settings.blockKey),
    peerKey: at(settings.peerKey),
    lastProposed: at(settings.lastProposed),
    accountKey: settings.accountKey === null ? null : at(settings.accountKey),
    readyFile: at(settings.readyFile)
  }
}
