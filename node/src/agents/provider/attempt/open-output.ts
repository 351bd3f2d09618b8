import { writeFile } from 'node:fs/promises'
import {
  runKeys,
  signRunHeader,
  toHex,
  type Clock,
  type Primitives,
  type RunBinding,
  type Signer
} from '@pekka/node/protocol'
import type { OpenedTask } from '../intake/intake.js'
import { Delivery } from '../output/delivery.js'
import { FrameWriter } from '../output/frame-writer.js'
import { RunFile } from '../output/run-file.js'
import type { RunRecord, RunStore } from '../output/run-store.js'

export interface OutputComponents {
  primitives: Primitives
  /** The agent's key. */
  signer: Signer
  clock: Clock
  store: RunStore
  log: { warn(data: object, text: string): void }
}

export interface OutputInit {
  network: Uint8Array
  provider: Uint8Array
  /** Address of the bridge that the offer came from. */
  bridge: string
  attempt: number
  task: OpenedTask
}

/** Where the output of a run goes, and what it is sealed with. */
export interface Output {
  file: RunFile
  record: RunRecord
  writer: FrameWriter
  delivery: Delivery
  privateKey: Uint8Array
  binding: RunBinding
}

/** Begins a run's output: its keys and signed header, its record and files on disk, and its way to the bridge. */
export async function openOutput(components: OutputComponents, init: OutputInit): Promise<Output> {
  const { network, provider, bridge, attempt, task } = init
  const { offer, taskKey, sealedBundle } = task
  const { primitives, signer, clock, store, log } = components
  const { privateKey, publicKey } = await primitives.agreement.generate()
  const binding = { network, task: offer.task, attempt, run: 1 }
  const keys = await runKeys(primitives.agreement, privateKey, offer.readKey, binding)
  const startedAt = clock.now()
  const header = await signRunHeader({ v: 1, ...binding, provider, runKey: publicKey, startedAt }, signer)
  const record: RunRecord = {
    v: 1,
    task: offer.task,
    attempt,
    run: binding.run,
    bridge,
    taskKey,
    blobs: [],
    finished: null,
    delivered: false,
    ledger: 'open',
    startedAt
  }
  // The record first: a file without one is swept away.
  await store.put(record)
  const [file] = await Promise.all([
    RunFile.create(store.fileOf(record), header),
    writeFile(store.bundleOf(record), sealedBundle, { mode: 0o600 })
  ])
  const delivery = new Delivery(file, {
    onError: error => log.warn({ err: error, task: toHex(offer.task) }, 'output waits')
  })
  const writer = new FrameWriter(
    {
      aead: primitives.aead,
      signer,
      file,
      onHead: head => delivery.head(head),
      onWritten: () => void delivery.pump(),
      onBlob: async (hash, before) => {
        record.blobs.push({ hash, before })
        delivery.blob(hash, before)
        await store.put(record)
      }
    },
    header,
    keys
  )
  return { file, record, writer, delivery, privateKey, binding }
}
