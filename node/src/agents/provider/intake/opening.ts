import {
  counterNonce,
  decodeCanonical,
  deriveKey,
  encodeCanonical,
  keyInfo,
  manifestEnvelopeSchema,
  runBytes,
  type Aead,
  type ManifestEnvelope,
  type RunBinding
} from '@pekka/node/protocol'

/**
 * The opening of a commitment as a provider keeps it (R8): the manifest names files and outputs of the task, so it lies on the disk
 * only sealed, as the bundle beside it does. A run is sealed once, so its key meets one nonce once.
 */
export const sealOpening = (
  aead: Aead,
  taskKey: Uint8Array,
  binding: RunBinding,
  manifest: ManifestEnvelope
): Promise<Uint8Array> =>
  aead.seal(keyOf(taskKey, binding), counterNonce(0), encodeCanonical(manifest), new Uint8Array())

/** @throws PekkaError SEAL_BROKEN */
export const openOpening = async (
  aead: Aead,
  taskKey: Uint8Array,
  binding: RunBinding,
  sealed: Uint8Array
): Promise<ManifestEnvelope> =>
  manifestEnvelopeSchema.parse(
    decodeCanonical(await aead.open(keyOf(taskKey, binding), counterNonce(0), sealed, new Uint8Array()))
  )

const keyOf = (taskKey: Uint8Array, binding: RunBinding): Uint8Array =>
  deriveKey(taskKey, keyInfo('pekka/opening/v1', ...runBytes(binding)))
