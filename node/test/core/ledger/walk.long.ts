import { walks } from './walks.js'

walks({ runs: 20_000, moves: 120, timeout: 3_600_000 })
