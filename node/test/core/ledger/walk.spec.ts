import { walks } from './walks.js'

// PEKKA_LONG lengthens it; walk.long.ts is the same at length.
const long = Boolean(process.env['PEKKA_LONG'])
walks(long ? { runs: 20_000, moves: 120, timeout: 3_600_000 } : { runs: 500, moves: 40, timeout: 180_000 })
