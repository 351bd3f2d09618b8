import { concat, equalBytes, u32, u64, utf8 } from '../encoding/bytes.js'
import { PekkaError } from '../errors.js'
import { deriveKey, keyInfo, taggedHash } from '../encoding/hash.js'
import { NONCE_BYTES, type Aead, type Agreement, type ViewKey } from '../primitives.js'

/** The key schedule of a task (PROTOCOL §10). Every key seals under nonces that never repeat (R5). */

/** 32-byte task key: seals the bundle, once (R6). */
export const taskKey = (view: ViewKey, task: Uint8Array): Promise<Uint8Array> => view.derive(viewInfo('bundle', task))
/** The client's X25519 private key of a task: opens its frames (R6). */
export const readKey = (view: ViewKey, task: Uint8Array): Promise<Uint8Array> => view.derive(viewInfo('read', task))
/** Seals what the client keeps with the bridge for itself, e.g. the task's title. */
export const noteKey = (view: ViewKey, task: Uint8Array): Promise<Uint8Array> => view.derive(viewInfo('note', task))

const viewInfo = (label: string, task: Uint8Array): Uint8Array => keyInfo('pekka/view/v1', utf8(label), task)

/** A view key whose bytes are at hand (wallet, CLI). */
export const viewKeyFrom = (secret: Uint8Array): ViewKey => ({ derive: async info => deriveKey(secret, info) })

/** H(task ‖ task key), in the offer. */
export const keyCommit = (task: Uint8Array, key: Uint8Array): Uint8Array => taggedHash('pekka/key-commit/v1', task, key)

const ZERO_NONCE = new Uint8Array(NONCE_BYTES)

/** Which place a key and what it seals are bound to. */
export interface TaskBinding {
  network: Uint8Array
  task: Uint8Array
}

const bundleKey = (key: Uint8Array): Uint8Array => deriveKey(key, keyInfo('pekka/bundle/v1'))
const bundleAssociated = ({ network, task }: TaskBinding): Uint8Array => taggedHash('pekka/bundle/v1', network, task)

/** Seals the encoded bundle. The key serves this one sealing: a resend sends the same bytes (R5). */
export const sealBundle = (
  aead: Aead,
  key: Uint8Array,
  binding: TaskBinding,
  encoded: Uint8Array
): Promise<Uint8Array> => aead.seal(bundleKey(key), ZERO_NONCE, encoded, bundleAssociated(binding))

export const openBundle = (
  aead: Aead,
  key: Uint8Array,
  binding: TaskBinding,
  sealed: Uint8Array
): Promise<Uint8Array> => aead.open(bundleKey(key), ZERO_NONCE, sealed, bundleAssociated(binding))

// ---- boxes: the task key for one candidate

/** A box is 32 bytes of ephemeral X25519 key and the sealed task key (48 bytes). */
export const BOX_BYTES = 80

export interface BoxBinding extends TaskBinding {
  provider: Uint8Array
  ask: Uint8Array
}

const boxInfo = (b: BoxBinding, ephemeral: Uint8Array): Uint8Array =>
  keyInfo('pekka/box/v1', b.network, b.task, b.provider, b.ask, ephemeral)

/** Boxes the task key to the KEM key of candidate's ask, bound to (network, task, provider, ask) (R3). */
export async function sealBox(
  { aead, agreement }: { aead: Aead; agreement: Agreement },
  key: Uint8Array,
  kemKey: Uint8Array,
  binding: BoxBinding
): Promise<Uint8Array> {
  const ephemeral = await agreement.generate()
  const shared = await agreement.agree(ephemeral.privateKey, kemKey)
  const info = boxInfo(binding, ephemeral.publicKey)
  return concat(ephemeral.publicKey, await aead.seal(deriveKey(shared, info), ZERO_NONCE, key, info))
}

/** @throws PekkaError SEAL_BROKEN, BUNDLE_REFUSED when the key inside does not match the offer's keyCommit. */
export async function openBox(
  { aead, agreement }: { aead: Aead; agreement: Agreement },
  box: Uint8Array,
  kemPrivate: Uint8Array,
  binding: BoxBinding,
  commit: Uint8Array
): Promise<Uint8Array> {
  if (box.length !== BOX_BYTES) throw new PekkaError('SEAL_BROKEN')
  const ephemeral = box.subarray(0, 32)
  const shared = await agreement.agree(kemPrivate, ephemeral)
  const info = boxInfo(binding, ephemeral)
  const key = await aead.open(deriveKey(shared, info), ZERO_NONCE, box.subarray(32), info)
  if (!equalBytes(keyCommit(binding.task, key), commit)) {
    throw new PekkaError('BUNDLE_REFUSED', { issue: 'the key does not match the offer' })
  }
  return key
}

// ---- frames: the run's key

/** Where a frame belongs. `run` counts process lives of one attempt, from 1. */
export interface RunBinding extends TaskBinding {
  attempt: number
  run: number
}

export const runBytes = (b: RunBinding): Uint8Array[] => [b.network, b.task, u32(b.attempt), u32(b.run)]

/** Keys of one run: HKDF(X25519(run key, read key), network ‖ task ‖ attempt ‖ run ‖ direction) (R5). */
export interface RunKeys {
  /** Seals frames; the nonce is the frame's index. */
  frame: Uint8Array
  /** Key of the n-th blob, each used once. */
  blob: (n: number) => Uint8Array
}

export async function runKeys(
  agreement: Agreement,
  ownPrivate: Uint8Array,
  otherPublic: Uint8Array,
  binding: RunBinding
): Promise<RunKeys> {
  const shared = await agreement.agree(ownPrivate, otherPublic)
  return {
    frame: deriveKey(shared, keyInfo('pekka/frames/v1', ...runBytes(binding), utf8('out'))),
    blob: n => deriveKey(shared, keyInfo('pekka/blob/v1', ...runBytes(binding), utf8('out'), u32(n)))
  }
}

/** 12-byte nonce of a counter that is never stored or resumed: a restart is a new run with a new key (R5). */
export const counterNonce = (index: number): Uint8Array => concat(new Uint8Array(4), u64(index))
