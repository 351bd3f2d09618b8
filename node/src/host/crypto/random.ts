import { randomBytes } from 'node:crypto'
import type { Random } from '../../core/protocol/index.js'

export const random: Random = { bytes: length => new Uint8Array(randomBytes(length)) }
