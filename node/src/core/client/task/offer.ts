import { z } from 'zod'
import {
  DEFAULT_CPU_MS,
  DEFAULT_DISK_BYTES,
  DEFAULT_MEMORY_BYTES,
  DEFAULT_MILLI_CPUS,
  DEFAULT_OUTPUT_BYTES,
  DEFAULT_WALL_MS,
  INLINE_BUNDLE_BYTES,
  NONCE_BYTES,
  contentHash,
  createBundle,
  encodeBundle,
  encodeCbor,
  decodeCbor,
  keyCommit,
  noteKey,
  objectId,
  PekkaError,
  priceOf,
  readKey,
  sealBox,
  sealBundle,
  taskKey,
  toHex,
  type AuditPolicy,
  type Gpu,
  type NumericPath,
  type OfferTask,
  type Input,
  type Primitives,
  type Program,
  type SessionTerms
} from '../../protocol/index.js'
import type { Identity } from '../credentials.js'
import type { VerifiedAsk } from '../market.js'
import type { Packed, Travel } from './travel.js'

/** What the user asks for; everything but the program has a default. */
export interface TaskRequest {
  program: Program
  image?: string
  /** Micro-credits at most. */
  cap: bigint
  milliCpus?: number
  memoryBytes?: number
  diskBytes?: number
  /** Graphics processors; none by default. */
  gpu?: Gpu | null
  wallMs?: number
  cpuMs?: number
  outputBytes?: number
  audit?: AuditPolicy
  /** null: real entropy; undefined: a seed per task. */
  seed?: number | null
  /** Which code paths numeric libraries take; `pinned` by default. */
  numeric?: NumericPath
  note: TaskNote
  /** Digest of packages on top of the image, from `PekkaClient.addPackages`. */
  layer?: Uint8Array | null
  /** Data that was fetched beforehand, from `PekkaClient.fetchInput`. */
  inputs?: Input[]
  /** Values and files that travel along. */
  travel?: Travel
  /** The machine is kept for later cells (R33): how long it waits for one, and lives in all. */
  session?: SessionTerms
}

/** What the client keeps with the bridge for itself, sealed: how the task is called and where its outputs belong. */
export const taskNoteSchema = z.object({
  v: z.literal(1),
  title: z.string().max(200),
  kind: z.enum(['cell', 'selection', 'notebook', 'script']),
  /** Path of the notebook or script, as the user's server knows it. */
  path: z.string().max(1024).nullable(),
  cells: z.array(z.string().max(128)).max(20)
})
export type TaskNote = z.infer<typeof taskNoteSchema>

/** A task sealed and ready to be offered. */
export interface PreparedTask {
  offer: OfferTask
  boxes: Uint8Array[]
  sealedBundle: Uint8Array
  /** The bundle travels inside the request. */
  inline: boolean
  note: Uint8Array
  /** Sealed parts of what travels. */
  parts: { hash: Uint8Array; size: number }[]
}

export const requestResources = (request: TaskRequest) => ({
  milliCpus: request.milliCpus ?? DEFAULT_MILLI_CPUS,
  memoryBytes: request.memoryBytes ?? DEFAULT_MEMORY_BYTES,
  diskBytes: request.diskBytes ?? DEFAULT_DISK_BYTES,
  gpu: request.gpu ?? null
})

/** A task sealed, for nobody yet: who gets its key is chosen afterwards. */
export interface SealedTask extends Omit<PreparedTask, 'offer' | 'boxes'> {
  terms: Omit<OfferTask, 'candidates'>
}

export interface OfferComponents {
  primitives: Primitives
  identity: Identity
}

/** Seals the bundle and boxes its key to every candidate (R3, R5, R6). */
export async function prepareTask(
  components: OfferComponents,
  request: TaskRequest,
  candidates: VerifiedAsk[],
  packed?: Packed
): Promise<PreparedTask> {
  const first = candidates[0]
  if (!first) throw new PekkaError('NO_MATCH')
  for (const { ask } of candidates) {
    if (priceOf(ask.pricePerSecond, 1000, request.cap + 1n) > request.cap)
      throw new PekkaError('CAP_TOO_LOW', { cap: request.cap })
  }
  const sealed = await sealTask(components, request, first.ask.image, packed)
  const named = candidates.map(verified => ({ verified, pricePerSecond: verified.ask.pricePerSecond }))
  return await nameCandidates(components, sealed, named)
}

/** Seals the bundle (R5, R6). */
export async function sealTask(
  { primitives, identity }: OfferComponents,
  request: TaskRequest,
  image: OfferTask['image'],
  packed?: Packed
): Promise<SealedTask> {
  const { aead, agreement, random } = primitives
  const { network, account, viewKey } = identity
  const nonce = random.bytes(16)
  const task = objectId(account, nonce)
  const [key, readPrivate] = await Promise.all([taskKey(viewKey, task), readKey(viewKey, task)])
  const seed = request.seed === undefined ? new DataView(random.bytes(4).buffer).getUint32(0) : request.seed
  const { parts = [], ...travels } = packed ?? {}
  const { layer = null, inputs = [] } = request
  const [sealedBundle, readPublic, note] = await Promise.all([
    sealBundle(
      aead,
      key,
      { network, task },
      encodeBundle({ ...createBundle(request.program, seed, request.numeric), ...travels, layer, inputs })
    ),
    agreement.publicKey(readPrivate),
    sealNote(primitives, identity, task, request.note)
  ])
  const terms = {
    task,
    nonce,
    image,
    resources: requestResources(request),
    limits: {
      wallMs: request.wallMs ?? DEFAULT_WALL_MS,
      cpuMs: request.cpuMs ?? Math.max(DEFAULT_CPU_MS, request.wallMs ?? 0),
      outputBytes: request.outputBytes ?? DEFAULT_OUTPUT_BYTES
    },
    bundle: { hash: contentHash(sealedBundle), size: sealedBundle.length },
    keyCommit: keyCommit(task, key),
    readKey: readPublic,
    cap: request.cap,
    audit: request.audit ?? 'allowed',
    finishBy: null,
    replicas: 1 as const,
    fixedPrice: null,
    datasets: [],
    checkpoint: null,
    session: request.session ?? null,
    gang: null
  }
  const unique = new Map(parts.map(({ hash, size }) => [toHex(hash), { hash, size }]))
  return {
    terms,
    sealedBundle,
    inline: sealedBundle.length <= INLINE_BUNDLE_BYTES,
    note,
    parts: [...unique.values()]
  }
}

/** Boxes the task's key to each candidate (R3), at the price that it is named with: its own, or an auction's. */
export async function nameCandidates(
  { primitives, identity }: OfferComponents,
  { terms, ...sealed }: SealedTask,
  candidates: readonly { verified: VerifiedAsk; pricePerSecond: bigint }[]
): Promise<PreparedTask> {
  const { aead, agreement } = primitives
  const { network, viewKey } = identity
  const { task, session } = terms
  const key = await taskKey(viewKey, task)
  const boxes = await Promise.all(
    candidates.map(({ verified: { ask, provider } }) =>
      sealBox({ aead, agreement }, key, ask.kemKey, { network, task, provider: provider.provider, ask: ask.ask })
    )
  )
  const named = candidates.map(({ verified: { ask, provider }, pricePerSecond }) => ({
    provider: provider.provider,
    ask: ask.ask,
    pricePerSecond,
    holdPricePerSecond: session === null ? null : ask.holdPricePerSecond
  }))
  return { ...sealed, offer: { ...terms, candidates: named }, boxes }
}

/** The note's key serves this one sealing: a task's note is written once. */
async function sealNote(
  { aead }: Primitives,
  { viewKey, network }: Identity,
  task: Uint8Array,
  note: TaskNote
): Promise<Uint8Array> {
  const key = await noteKey(viewKey, task)
  return await aead.seal(key, new Uint8Array(NONCE_BYTES), encodeCbor(note), network)
}

/** Null where it cannot be read: made by another account, or broken. */
export async function openNote(
  { aead }: Primitives,
  { viewKey, network }: Identity,
  task: Uint8Array,
  sealed: Uint8Array
): Promise<TaskNote | null> {
  try {
    const key = await noteKey(viewKey, task)
    return taskNoteSchema.parse(decodeCbor(await aead.open(key, new Uint8Array(NONCE_BYTES), sealed, network)))
  } catch {
    return null
  }
}
