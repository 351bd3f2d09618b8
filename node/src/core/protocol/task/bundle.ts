import { z } from 'zod'
import { decodeCanonical, encodeCanonical } from '../encoding/encoding.js'
import { PekkaError } from '../errors.js'
import { inputsSchema } from './inputs.js'
import { CELL_TEXT_BYTES, MAX_BUNDLE_BYTES } from '../limits.js'
import { NUMERIC_PATHS, type NumericPath } from './numeric.js'
import { padme } from '../encoding/padme.js'
import { bytes32, bytesUpTo, whole } from '../encoding/schema.js'
import { MAX_FILES, MAX_VALUES, returnsSchema, travelFileSchema, travelIssue, travelValueSchema } from './values.js'

/**
 * The private part of a task: what is run. It is sealed with the task key and read by the candidates only. Version 1;
 * fields of later parts are here already and must be empty.
 */
export const bundleSchema = z.strictObject({
  v: z.literal(1),
  /** Cells run in order in one fresh kernel; a script runs as `python -u FILE args…`. */
  program: z.discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('cells'),
      cells: z
        .array(
          z.strictObject({
            id: z.string().min(1).max(128),
            source: z.string().max(64 << 20),
            tags: z.array(z.string().max(128)).max(64)
          })
        )
        .min(1)
        .max(10_000),
      /** Whether the cells after one that raised are left out. */
      stopOnError: z.boolean()
    }),
    z.strictObject({
      kind: z.literal('script'),
      file: z.string().regex(/^[^/\0]{1,255}$/),
      source: bytesUpTo(64 << 20),
      args: z.array(z.string().max(1 << 20)).max(10_000)
    })
  ]),
  /** Seeds unseeded randomness; null: real entropy. */
  seed: whole.max(0xffffffff).nullable(),
  numeric: z.enum(NUMERIC_PATHS),
  /** Stream text of one cell above which the middle is cut. */
  cellTextBytes: whole.max(64 << 20),
  /** Values of the user's kernel, put in place before the first cell, in order. */
  values: z.array(travelValueSchema).max(MAX_VALUES),
  /** Files that stand in the working directory before the program begins. */
  files: z.array(travelFileSchema).max(MAX_FILES),
  /** Names that come back at the end. */
  returns: returnsSchema,
  /** Digest of the packages on top of the image (layer.ts). */
  layer: bytes32.nullable(),
  /** Data that was fetched beforehand, readable where the program runs. */
  inputs: inputsSchema,
  /** Of a session's later cell: it begins with a fresh kernel and an empty working directory. Elsewhere every program does. */
  restart: z.literal(true).optional()
})
export type Bundle = z.infer<typeof bundleSchema>
export type Program = Bundle['program']

/** A bundle with the defaults of this version. */
export const createBundle = (program: Program, seed: number | null, numeric: NumericPath = 'pinned'): Bundle => ({
  v: 1,
  program,
  seed,
  numeric,
  cellTextBytes: CELL_TEXT_BYTES,
  values: [],
  files: [],
  returns: { names: [], maxBytes: 0 },
  layer: null,
  inputs: []
})

/** Canonical bytes with their length in front, padded by {@link padme}. */
export function encodeBundle(bundle: Bundle): Uint8Array {
  const bytes = encodeCanonical(bundle)
  if (bytes.length > MAX_BUNDLE_BYTES)
    throw new PekkaError('INPUT_TOO_LARGE', { size: bytes.length, max: MAX_BUNDLE_BYTES })
  const out = new Uint8Array(padme(bytes.length + 4))
  new DataView(out.buffer).setUint32(0, bytes.length)
  out.set(bytes, 4)
  return out
}

/** @throws PekkaError BUNDLE_REFUSED */
export function decodeBundle(padded: Uint8Array): Bundle {
  const length = padded.length < 4 ? -1 : new DataView(padded.buffer, padded.byteOffset).getUint32(0)
  if (length < 0 || length > padded.length - 4 || padded.length !== padme(length + 4)) {
    throw new PekkaError('BUNDLE_REFUSED', { issue: 'its length is wrong' })
  }
  if (padded.subarray(4 + length).some(byte => byte !== 0))
    throw new PekkaError('BUNDLE_REFUSED', { issue: 'its padding is not zero' })
  let bundle: Bundle
  try {
    bundle = bundleSchema.parse(decodeCanonical(padded.subarray(4, 4 + length)))
  } catch (cause) {
    throw new PekkaError('BUNDLE_REFUSED', { issue: 'its content has a wrong shape' }, { cause })
  }
  const issue = travelIssue(bundle.files, bundle.values)
  if (issue !== null) throw new PekkaError('BUNDLE_REFUSED', { issue })
  return bundle
}
