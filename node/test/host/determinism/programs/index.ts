import { NUMERIC } from './numeric.js'
import { OUTPUT } from './output.js'
import { RANDOM } from './random.js'
import { VARYING } from './varying.js'
import type { Program } from './program.js'

export type { Program } from './program.js'

/** The honest set: small programs as scientists write them. Each says whether two honest runs agree, and if not why. */
export const PROGRAMS: readonly Program[] = [...NUMERIC, ...RANDOM, ...OUTPUT, ...VARYING]

/** A share of them that needs no more than numpy, pandas and matplotlib, and a minute of sandboxes. */
export const SHARE: readonly string[] = [
  'matrix product and its trace',
  'unseeded default_rng',
  'random and uuid4',
  'numbers in every cell',
  'plot as PNG',
  'plot as SVG',
  'table as HTML',
  'set of texts',
  'repr with an address',
  'secrets'
]
