import { walks } from './walks.js'

// walk.long.ts is the same at length.
walks({ runs: 160, moves: 40, timeout: 180_000 })
