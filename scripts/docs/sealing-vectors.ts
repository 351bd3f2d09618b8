/**
 * Makes docs/vectors/sealing.json: the key schedule, bundle, box, frames, chain and commitment of one fixed task, so that
 * another implementation can be checked byte for byte. `npm run docs:vectors`; a test fails while the file is behind.
 */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { createPrimitives, createSigner } from '@pekka/node/host/crypto'
import {
  CellChain,
  commitment,
  createBundle,
  encodeBundle,
  encodeFrames,
  firstHead,
  keyCommit,
  nextHead,
  noteKey,
  objectId,
  openBox,
  openCell,
  openFrame,
  padme,
  readKey,
  resultDigest,
  runHash,
  runKeys,
  sealBox,
  sealBundle,
  sealCell,
  sealFrame,
  sha256,
  signCell,
  signHead,
  signRunHeader,
  taskKey,
  toHex,
  utf8,
  viewKeyFrom,
  type Agreement,
  type Done,
  type TaskEvent
} from '@pekka/node/protocol'
import { RunDigester } from '@pekka/node/verification'

export const SEALING_VECTORS = fileURLToPath(new URL('../../docs/vectors/sealing.json', import.meta.url))

/** 32 bytes that anyone can make: SHA-256 of a name. */
const fixed = (name: string): Uint8Array => sha256(utf8(name))

export async function sealingVectors(): Promise<string> {
  const { aead, agreement } = createPrimitives()
  const network = fixed('network')
  const account = fixed('account')
  const provider = fixed('provider')
  const ask = fixed('ask')
  const nonce = fixed('nonce').slice(0, 16)
  const view = viewKeyFrom(fixed('view key'))
  const task = objectId(account, nonce)
  const key = await taskKey(view, task)
  const read = await readKey(view, task)
  const readPublic = await agreement.publicKey(read)

  const bundle = encodeBundle(
    createBundle({ kind: 'cells', cells: [{ id: 'a', source: 'print(1)', tags: [] }], stopOnError: true }, 7)
  )
  const sealedBundle = await sealBundle(aead, key, { network, task }, bundle)

  const kem = fixed('kem private key')
  const kemPublic = await agreement.publicKey(kem)
  const ephemeral = fixed('ephemeral private key')
  const fixedAgreement: Agreement = {
    ...agreement,
    generate: async () => ({ privateKey: ephemeral, publicKey: await agreement.publicKey(ephemeral) })
  }
  const boxBinding = { network, task, provider, ask }
  const box = await sealBox({ aead, agreement: fixedAgreement }, key, kemPublic, boxBinding)
  await openBox({ aead, agreement }, box, kem, boxBinding, keyCommit(task, key))

  const runPrivate = fixed('run private key')
  const agent = createSigner(fixed('agent seed'))
  const binding = { network, task, attempt: 1, run: 1 }
  const header = await signRunHeader(
    { v: 1, ...binding, provider, runKey: await agreement.publicKey(runPrivate), startedAt: 1_700_000_000_000 },
    agent
  )
  const keys = await runKeys(agreement, runPrivate, readPublic, binding)
  const done: Done = {
    type: 'done',
    outcome: 'ok',
    reason: 'completed',
    detail: {},
    exitCode: 0,
    usage: { wallMs: 12, cpuMs: 10, maxMemoryBytes: 1 << 20, outputBytes: 2 },
    t: 12
  }
  const events: TaskEvent[] = [
    { type: 'cell-start', cell: 'a', t: 0 },
    { type: 'stream', cell: 'a', name: 'stdout', text: '1\n', t: 3 },
    { type: 'cell-end', cell: 'a', status: 'ok', executionCount: 1, t: 9 }
  ]
  const digester = new RunDigester()
  for (const event of [...events, done]) digester.add(event)
  const result = digester.result(done)
  const [plaintext] = encodeFrames({ events, manifest: null })
  if (!plaintext) throw new Error('a batch has at least one frame')
  const sealed = await sealFrame(aead, keys.frame, binding, 0, plaintext)
  await openFrame(aead, keys.frame, binding, 0, sealed)
  const head0 = firstHead(header)
  const head1 = nextHead(head0, 0, sealed)
  const run = {
    v: 1 as const,
    usage: done.usage,
    image: fixed('image'),
    contentDigest: fixed('content'),
    runtime: 'bubblewrap',
    isolation: 2,
    cpuClass: 'x86-64-v3',
    fingerprint: null,
    cpuPath: '',
    numeric: 'pinned' as const,
    seed: 7,
    envRead: [],
    raw: digester.raw(key),
    count: 1,
    head: head1
  }
  const blind = fixed('blind')
  const digest = resultDigest(key, result)
  const head = await signHead(network, { task, attempt: 1, run: 1, count: 1, head: head1 }, agent)

  // The first two later cells of a session, sealed to the run's key with the same fixed ephemeral key.
  const client = createSigner(fixed('client seed'))
  const cells = new CellChain(binding, client.publicKey, createPrimitives().verifier)
  const sessionCells = []
  for (const source of ['x = 1', 'print(x)']) {
    const place = cells.next
    const encoded = encodeBundle(
      createBundle({ kind: 'cells', cells: [{ id: 'b', source, tags: [] }], stopOnError: true }, 7)
    )
    const sealedCell = await sealCell({ aead, agreement: fixedAgreement }, header.runKey, place, encoded)
    await openCell({ aead, agreement }, runPrivate, place, sealedCell)
    const cell = await signCell(place, sealedCell, client)
    await cells.add(cell)
    sessionCells.push({
      index: place.index,
      encoded,
      sealed: sealedCell,
      signature: cell.signature,
      head: cells.state.head
    })
  }

  const hex = (entries: Record<string, Uint8Array>) =>
    Object.fromEntries(Object.entries(entries).map(([name, bytes]) => [name, toHex(bytes)]))
  const vectors = {
    about: 'One fixed task. Byte strings are lower-case hexadecimal; docs/protocol.md says how each is made.',
    inputs: hex({
      network,
      account,
      provider,
      ask,
      nonce,
      viewKey: fixed('view key'),
      kemPrivate: kem,
      ephemeralPrivate: ephemeral,
      runPrivate,
      agentSeed: fixed('agent seed'),
      clientSeed: fixed('client seed'),
      blind
    }),
    keys: hex({
      task,
      taskKey: key,
      readPrivate: read,
      readPublic,
      noteKey: await noteKey(view, task),
      keyCommit: keyCommit(task, key),
      frameKey: keys.frame,
      blobKey0: keys.blob(0)
    }),
    bundle: {
      ...hex({ encoded: bundle, sealed: sealedBundle }),
      cells: [{ id: 'a', source: 'print(1)', tags: [] }],
      seed: 7
    },
    box: hex({ kemPublic, box }),
    run: {
      attempt: 1,
      run: 1,
      startedAt: 1_700_000_000_000,
      ...hex({ runKey: header.runKey, agentKey: header.key, signature: header.signature })
    },
    frame: { index: 0, events, ...hex({ plaintext, sealed }) },
    chain: { ...hex({ head0, head1 }), signedHead: toHex(head.signature) },
    session: sessionCells.map(({ index, head, ...cell }) => ({
      index,
      ...hex({ ...cell, head: head ?? new Uint8Array() })
    })),
    result: {
      cell: 'a',
      ...hex({
        cellDigest: result.cells[0]?.digest ?? new Uint8Array(),
        D: digest,
        runHash: runHash(run),
        c: commitment({ network, task, attempt: 1, provider, digest, runHash: runHash(run), blind })
      })
    },
    padme: [1, 256, 257, 1000, 4096, 100_000, 1_234_567].map(size => [size, padme(size)])
  }
  return `${JSON.stringify(vectors, null, 2)}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(SEALING_VECTORS, await sealingVectors())
