import { allows } from './versions.js'

/** A package that no image has in the way that is asked for. */
export interface MissingPackage {
  /** Import name; for packages that are asked for and not imported, the distribution. */
  module: string
  distribution: string
  /** PEP 440, or ''. */
  specifier: string
  extras: string[]
  /** Who named the distribution. */
  source: 'script' | 'requirements' | 'install' | 'kernel' | 'reviewed' | 'answer' | 'image'
  /** The code goes on without it. */
  optional: boolean
  /** The version in the chosen image, where that is not one of those asked for, or may lack its extras. */
  have: string | null
  /** Another image that has it, though not everything else. */
  elsewhere: string | null
}

/** Whether the code itself names its packages so: a PEP 723 block or an install line. Files beside it list those of a whole project. */
export const isOwn = (from: MissingPackage['source']): boolean => from === 'script' || from === 'install'

/**
 * Whether it goes into a layer: what the code can't do without, and what the code itself asks for in another version than the image has,
 * or with extras. What files beside it ask for in another version is a note.
 */
export const isAdded = ({ optional, have, source }: MissingPackage): boolean =>
  !optional && (have === null || isOwn(source))

/** As PEP 508 writes it, with its extras and versions. */
export const requirementText = ({
  distribution,
  extras,
  specifier
}: Pick<MissingPackage, 'distribution' | 'extras' | 'specifier'>): string =>
  `${distribution}${extras.length === 0 ? '' : `[${extras.join(',')}]`}${specifier}`

/** What becomes of a package that the image has in another way than is asked for, for people. */
export function differsWords(one: MissingPackage & { have: string }, image: string): string {
  const { distribution, specifier, have } = one
  if (!isAdded(one)) return `${distribution}${specifier} is asked for; ${image} has ${have}.`
  return allows(specifier, have)
    ? `${requirementText(one)} is asked for: what ${image} lacks of it is added.`
    : `${requirementText(one)} is added instead of ${have}, which ${image} has.`
}

/** What the chosen image lacks, as requirements (PEP 508) for a layer over it. */
export const missingRequirements = ({ missing }: { missing: readonly MissingPackage[] }): string[] =>
  missing.filter(isAdded).map(requirementText)

/** Whether the image has the package in another way than is asked for. */
export const differs = (one: MissingPackage): one is MissingPackage & { have: string } => one.have !== null
