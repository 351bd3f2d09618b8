import {
  commitment,
  contentHash,
  encodeCbor,
  encodeFrames,
  firstHead,
  keyCommit,
  nextHead,
  objectId,
  readKey,
  resultDigest,
  runHash,
  runKeys,
  sealBlob,
  sealFrame,
  signHead,
  signRunHeader,
  taskKey,
  viewKeyFrom,
  type BlobRef,
  type Done,
  type LogEntry,
  type ManifestEnvelope,
  type RunHeader,
  type SignedHead,
  type TaskEvent,
  type TaskView
} from '@pekka/node/protocol'
import { RunDigester } from '@pekka/node/verification'
import { createPrimitives, createSigner } from '@pekka/node/host/crypto'

/** What a provider does with a run's events, step by step, so that tests can bend any of them. */

export const primitives = createPrimitives()
const { random } = primitives

export const DONE: Done = {
  type: 'done',
  outcome: 'ok',
  reason: 'completed',
  detail: {},
  exitCode: 0,
  usage: { wallMs: 1200, cpuMs: 900, maxMemoryBytes: 1 << 26, outputBytes: 12 },
  t: 1200
}

/** Cell `a` prints these lines and ends. */
export const printed = (...lines: string[]): TaskEvent[] => [
  { type: 'cell-start', cell: 'a', t: 0 },
  ...lines.map((text, t): TaskEvent => ({ type: 'stream', cell: 'a', name: 'stdout', text, t })),
  { type: 'cell-end', cell: 'a', status: 'ok', executionCount: 1, t: 9 }
]

export async function createParties() {
  const network = random.bytes(32)
  const account = random.bytes(32)
  const view = viewKeyFrom(random.bytes(32))
  const nonce = random.bytes(16)
  const task = objectId(account, nonce)
  const key = await taskKey(view, task)
  const read = await readKey(view, task)
  const agent = createSigner(random.bytes(32))
  return {
    network,
    account,
    nonce,
    task,
    taskKey: key,
    readKey: read,
    readPublic: await primitives.agreement.publicKey(read),
    commit: keyCommit(task, key),
    provider: random.bytes(32),
    agent
  }
}
export type Parties = Awaited<ReturnType<typeof createParties>>

export interface SealedRun {
  header: RunHeader
  sealed: Uint8Array[]
  head: Uint8Array
  signed: SignedHead
  manifest: ManifestEnvelope
  entries: LogEntry[]
  /** Sealed blobs that events refer to. */
  blobs: Uint8Array[]
}

/** One run, each batch of events in a frame of its own, the last with `done` and the manifest. */
export async function sealRun(
  parties: Parties,
  batches: TaskEvent[][],
  options: {
    attempt?: number
    run?: number
    firstEntry?: number
    claimed?: TaskEvent[][]
    /** Events that refer to sealed blobs; the last of the run. */
    returned?: (blob: (value: unknown) => Promise<BlobRef>) => Promise<TaskEvent[]>
  } = {}
): Promise<SealedRun> {
  const { network, task, provider, agent } = parties
  const { attempt = 1, run = 1, firstEntry = 0, claimed = batches } = options
  const pair = await primitives.agreement.generate()
  const header = await signRunHeader(
    { v: 1, network, task, attempt, run, provider, runKey: pair.publicKey, startedAt: 1_700_000_000_000 },
    agent
  )
  const binding = { network, task, attempt, run }
  const keys = await runKeys(primitives.agreement, pair.privateKey, parties.readPublic, binding)
  const digester = new RunDigester()
  const blobs: Uint8Array[] = []
  const returned = await options.returned?.(async value => {
    const blob = blobs.length
    const bytes = await sealBlob(primitives.aead, keys.blob(blob), binding, blob, encodeCbor(value))
    blobs.push(bytes)
    return { blob, hash: contentHash(bytes), size: bytes.length }
  })
  for (const event of [...claimed.flat(), ...(returned ?? []), DONE]) digester.add(event)
  const sealed: Uint8Array[] = []
  let head = firstHead(header)
  const push = async (content: { events: TaskEvent[]; manifest: ManifestEnvelope | null }): Promise<void> => {
    for (const plaintext of encodeFrames(content)) {
      const bytes = await sealFrame(primitives.aead, keys.frame, binding, sealed.length, plaintext)
      head = nextHead(head, sealed.length, bytes)
      sealed.push(bytes)
    }
  }
  for (const events of batches) await push({ events, manifest: null })
  if (returned) await push({ events: returned, manifest: null })
  const result = digester.result(DONE)
  const manifest: ManifestEnvelope = {
    result,
    run: {
      v: 1,
      usage: DONE.usage,
      image: random.bytes(32),
      contentDigest: random.bytes(32),
      runtime: 'bubblewrap',
      isolation: 2,
      cpuClass: 'x86-64-v3',
      fingerprint: null,
      cpuPath: '',
      numeric: 'pinned',
      seed: 7,
      envRead: [],
      raw: digester.raw(parties.taskKey),
      count: sealed.length,
      head
    },
    blind: random.bytes(32)
  }
  await push({ events: [DONE], manifest })
  const signed = await signHead(network, { task, attempt, run, count: sealed.length, head }, agent)
  const entries: LogEntry[] = [
    { n: firstEntry, kind: 'run', header },
    ...sealed.map((bytes, index): LogEntry => ({
      n: firstEntry + 1 + index,
      kind: 'frame',
      attempt,
      run,
      index,
      sealed: bytes
    })),
    { n: firstEntry + 1 + sealed.length, kind: 'head', head: signed }
  ]
  return { header, sealed, head, signed, manifest, entries, blobs }
}

/** The ledger's view of a task whose first attempt committed this run. */
export function settledView(parties: Parties, run: SealedRun): TaskView {
  const { network, task, provider } = parties
  const offer: TaskView['offer'] = {
    task,
    nonce: parties.nonce,
    candidates: [{ provider, ask: random.bytes(32), pricePerSecond: 1500n, holdPricePerSecond: null }],
    image: { name: 'base', digest: run.manifest.run.image },
    resources: { milliCpus: 1000, memoryBytes: 4 * 2 ** 30, diskBytes: 2 ** 31, gpu: null },
    limits: { wallMs: 600_000, cpuMs: 600_000, outputBytes: 1 << 26 },
    bundle: { hash: random.bytes(32), size: 512 },
    keyCommit: parties.commit,
    readKey: parties.readPublic,
    cap: 500_000n,
    audit: 'allowed',
    finishBy: null,
    replicas: 1,
    fixedPrice: null,
    datasets: [],
    checkpoint: null,
    session: null,
    gang: null
  }
  const claim = {
    commitment: commitment({
      network,
      task,
      attempt: 1,
      provider,
      digest: resultDigest(parties.taskKey, run.manifest.result),
      runHash: runHash(run.manifest.run),
      blind: run.manifest.blind
    }),
    run: run.header.run,
    count: run.sealed.length,
    head: run.head,
    usage: { wallMs: 1200, cpuMs: 900 },
    outcome: 'ok' as const,
    stored: null,
    session: null
  }
  return {
    task,
    account: parties.account,
    lane: random.bytes(32),
    state: 'settled',
    reason: 'not-rerun',
    attempts: [
      {
        provider,
        candidate: 0,
        acceptedAt: 1,
        acceptedT: 1,
        ended: 'committed',
        reason: null,
        claim,
        count: claim.count,
        head: claim.head,
        session: null
      }
    ],
    declined: [],
    offer,
    since: 2,
    deadline: 3,
    offeredAt: 1,
    cancelledAt: null,
    sessionEndedAt: null,
    lock: 500_000n,
    paid: 1800n,
    refunded: 498_200n,
    levy: 0n,
    deposit: 0n,
    slice: 0n,
    parameters: 1,
    transactions: []
  }
}
