import { z } from 'zod'
import { decodeCanonical, encodeCanonical } from '../encoding/encoding.js'
import { PekkaError } from '../errors.js'
import { sha256 } from '../encoding/hash.js'
import { bytes32, slug, whole } from '../encoding/schema.js'

/** Packages of one layer. The largest image has 239. */
export const MAX_LAYER_PACKAGES = 400
/** Requirements in one request: more is a program's whole world, which an image should be made for. */
export const MAX_REQUIREMENTS = 64
/** Bytes of one package's file. Larger are only builds for graphics cards, which the images leave out too. */
export const MAX_WHEEL_BYTES = 256 << 20
/** Bytes of all files of a layer: the largest image adds 3.3 GB unpacked to base's; a layer is for less. */
export const MAX_LAYER_BYTES = 1 << 30
/** Bytes of a layer's description: 400 packages of some 200 bytes. */
export const MAX_LAYER_DESCRIPTION = 256 << 10

/** Name of a wheel's file (PEP 427): no folder, no character that a shell or a URL treats in its own way. */
const wheelFile = z.string().regex(/^[A-Za-z0-9][\w.+!-]{0,250}\.whl$/)

export const layerPackageSchema = z.strictObject({
  /** Normal form (PEP 503). */
  name: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,126}[a-z0-9])?$/),
  version: z.string().regex(/^[\w.+!]{1,64}$/),
  file: wheelFile,
  /** SHA-256 of the file. */
  hash: bytes32,
  size: whole.max(MAX_WHEEL_BYTES)
})
export type LayerPackage = z.infer<typeof layerPackageSchema>

/**
 * Packages on top of an image, locked: what is fetched, checked and unpacked where a task runs. `on-top`: resolved under
 * the image's versions, stands behind the image's own packages. `instead`: could not be had under them; it stands before
 * the image's packages and replaces those whose versions it changes.
 */
export const layerSchema = z.strictObject({
  kind: z.literal('pekka/layer'),
  v: z.literal(1),
  /** Digest of the image. */
  image: bytes32,
  mode: z.enum(['on-top', 'instead']),
  packages: z.array(layerPackageSchema).min(1).max(MAX_LAYER_PACKAGES)
})
export type Layer = z.infer<typeof layerSchema>

/** The canonical bytes of a layer. Their SHA-256 is its name: `layer` of a bundle. */
export const encodeLayer = (layer: Layer): Uint8Array =>
  encodeCanonical({ ...layer, packages: [...layer.packages].sort((a, b) => (a.name < b.name ? -1 : 1)) })

export const layerDigest = (bytes: Uint8Array): Uint8Array => sha256(bytes)

/** @throws PekkaError LAYER_REFUSED */
export function decodeLayer(bytes: Uint8Array): Layer {
  let layer: Layer
  try {
    layer = layerSchema.parse(decodeCanonical(bytes))
  } catch (cause) {
    throw new PekkaError('LAYER_REFUSED', { what: 'The list', issue: 'it has a wrong shape' }, { cause })
  }
  const names = layer.packages.map(({ name }) => name)
  if (names.some((name, i) => i > 0 && name <= (names[i - 1] ?? '')))
    throw new PekkaError('LAYER_REFUSED', { what: 'The list', issue: 'its packages are out of order' })
  if (layerBytes(layer.packages) > MAX_LAYER_BYTES) throw new PekkaError('LAYER_TOO_LARGE', sizes(layer.packages))
  return layer
}

export const layerBytes = (packages: readonly Pick<LayerPackage, 'size'>[]): number =>
  packages.reduce((sum, { size }) => sum + size, 0)

/** What LAYER_TOO_LARGE says. */
export const sizes = (packages: readonly Pick<LayerPackage, 'size'>[]) => ({
  size: layerBytes(packages),
  max: MAX_LAYER_BYTES
})

// ---- requirements, as people write them

/** One requirement: a package by its name, what extras, which versions. */
export interface Requirement {
  /** Normal form (PEP 503). */
  name: string
  /** As it is handed to a resolver: `name[extra]>=1.0,<2`. */
  text: string
  /** It names one exact version. */
  exact: boolean
}

const SPECIFIER = '(?:===|==|~=|!=|<=|>=|<|>)\\s*[A-Za-z0-9][A-Za-z0-9.*+!_-]{0,63}'
const REQUIREMENT = new RegExp(
  `^([A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?)\\s*(\\[[A-Za-z0-9._,\\s-]{0,128}\\])?\\s*` +
    `(?:\\(?\\s*(${SPECIFIER}(?:\\s*,\\s*${SPECIFIER}){0,8})\\s*\\)?)?$`
)

/** PEP 503's normal form of a package's name. */
export const normalPackageName = (name: string): string => name.toLowerCase().replace(/[-_.]+/g, '-')

/**
 * Reads one requirement. Only a name with extras and versions is one here: an address, a path or an option would let
 * something in that nobody locked.
 * @throws PekkaError REQUIREMENT_REFUSED
 */
export function parseRequirement(text: string): Requirement {
  const refuse = (issue: string): never => {
    throw new PekkaError('REQUIREMENT_REFUSED', { requirement: text.slice(0, 200), issue })
  }
  const given = text.trim()
  if (given === '') refuse('it is empty')
  if (given.startsWith('-')) refuse('it is an option of pip')
  if (/[@]|:\/\/|^git\+/.test(given)) refuse('it is an address')
  if (/[/\\]|^\.|\.(?:whl|zip|tar\.gz|tgz|tar\.bz2)$/.test(given)) refuse('it is a path or a file')
  if (given.includes(';')) refuse('it has a condition after ";"')
  const [, name, extras = '', versions = ''] = REQUIREMENT.exec(given) ?? []
  if (name === undefined) return refuse('it is no package name with versions')
  return {
    name: normalPackageName(name),
    text: `${name}${extras}${versions}`.replace(/\s+/g, ''),
    exact: /^={2,3}[^*,]+$/.test(versions.replace(/\s+/g, ''))
  }
}

// ---- POST /v1/layers

export const layerRequestSchema = z.strictObject({
  image: slug,
  /** Digest of the image, as the offer will name it. */
  digest: bytes32,
  requirements: z.array(z.string().min(1).max(400)).min(1).max(MAX_REQUIREMENTS)
})
export type LayerRequest = z.infer<typeof layerRequestSchema>

export const layerAnswerSchema = z.object({
  /** What the bundle names; null where the image has all of it already. */
  digest: bytes32.nullable(),
  mode: z.enum(['on-top', 'instead']),
  packages: z.array(layerPackageSchema),
  /** Of what was asked for, that which the image has. */
  present: z.array(z.object({ name: z.string(), version: z.string() })),
  /** Bytes of all files. */
  size: whole
})
export type LayerAnswer = z.infer<typeof layerAnswerSchema>
