import { underDust } from './under-dust.js'

underDust({ seconds: 20, timeout: 600_000, slowdown: 3 })
