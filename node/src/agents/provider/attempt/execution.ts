import type { ReturnedPart } from '@pekka/node/host/runner'
import { PekkaError, type Aead, type Bundle, type Done, type TaskEvent } from '@pekka/node/protocol'
import type { SessionDigester } from '@pekka/node/verification'
import { KILL_AFTER_MS, OUTPUT_SLACK_BYTES, SPOOL_AHEAD_BYTES } from '../constants.js'
import { settleDone, type Killed } from './done.js'
import type { OpenedTask } from '../intake/intake.js'
import { Batcher } from '../output/batcher.js'
import type { Delivery } from '../output/delivery.js'
import type { FrameWriter } from '../output/frame-writer.js'
import { sizeOf, takeOutLarge } from '../output/large-values.js'
import type { CellLimits } from './session.js'
import { Returns, putsOf, type FetchPart } from '../intake/travel.js'
import { commandOf, type TakenSandbox } from '../machine/workshop.js'

export interface ExecutionComponents {
  sandbox: TakenSandbox
  writer: FrameWriter
  delivery: Delivery
  digester: SessionDigester
  aead: Aead
  /** Sealed parts of what travels. */
  fetchPart: FetchPart
  /** A timer that ends with the attempt at the latest. */
  later: (work: () => void, ms: number) => NodeJS.Timeout
  /** Told right before the program starts, when all that travels is there: what is to stop it can. */
  begun: () => void
  kill: (why: Killed) => void
  /** Why it was killed; null: it wasn't. */
  killed: () => Killed | null
}

export interface ExecutionInit {
  task: OpenedTask
  /** The task's own program, or that of a session's cell. */
  bundle: Bundle
  limits: CellLimits
  /** Whether the runner stays for later cells (R33). */
  keep: boolean
}

/** What a run brings back is read and sealed within this, ms: 1 GiB at 10 MB/s takes 100 s. */
const RETURN_MS = 300_000

/** Runs a program in a sandbox and passes its output on, up to `done`. @throws PekkaError RUNNER_LOST, … */
export async function execute(
  components: ExecutionComponents,
  init: ExecutionInit,
  signal: AbortSignal
): Promise<Done> {
  const { sandbox, writer, delivery, digester, later, kill } = components
  const { task, bundle, limits, keep } = init
  signal.throwIfAborted()
  const { wallMs, outputBytes } = limits
  await sandbox.session.put(putsOf(bundle, components.aead, components.fetchPart, signal), signal)
  task.parts.clear()
  // The runner keeps the limits; this holds where it can't any more.
  let late = later(() => kill('wall'), wallMs + KILL_AFTER_MS)
  const returns = new Returns(value => writer.blob(value))
  const onPart = async (part: ReturnedPart): Promise<void> => {
    if (!returns.begun) {
      // The program has ended; what is left is our own reading.
      clearTimeout(late)
      late = later(() => kill('wall'), RETURN_MS)
    }
    await returns.take(part)
  }
  const batcher = new Batcher(async events => void (await writer.write({ events, manifest: null })))
  let received = 0
  let done: Done | null = null
  components.begun()
  const command = commandOf(task, { bundle, wallMs, outputBytes, keep })
  for await (const said of sandbox.session.run(command, signal, onPart)) {
    const event = await returns.complete(said)
    if (event.type === 'done') {
      done = event
      break
    }
    received += sizeOf(event)
    if (received > outputBytes * 1.5 + OUTPUT_SLACK_BYTES) {
      kill('output')
      if (isOutput(event)) continue
    }
    digester.add(event)
    await batcher.push(await takeOutLarge(event, value => writer.blob(value)))
    await delivery.waitUntilBehind(SPOOL_AHEAD_BYTES, signal)
  }
  signal.throwIfAborted()
  clearTimeout(late)
  await batcher.flush()
  if (done === null) throw new PekkaError('RUNNER_LOST', { message: 'it ended without a word' })
  const { memoryBytes } = task.offer.resources
  const settled = await settleDone(done, sandbox.sandbox, components.killed(), memoryBytes)
  // The runner knows one limit of time; which one it was is known here.
  if (settled.reason !== 'wall-limit' || !limits.atCap) return settled
  return { ...settled, detail: { ...settled.detail, atCap: true } }
}

const isOutput = (event: TaskEvent): boolean => event.type !== 'cell-end' && event.type !== 'cell-start'
