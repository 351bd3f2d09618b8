import type { Cause } from '@pekka/node/verification'

export interface Program {
  name: string
  /** A script, or the cells of a notebook. */
  source: string | string[]
  /** Why two honest runs of it differ; absent where they must agree. */
  varies?: Cause
  /** It ends with an error, and is meant to. */
  fails?: true
  /** Packages beyond the small image's. */
  needs?: readonly string[]
}
