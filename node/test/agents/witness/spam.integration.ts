import { underDust } from './under-dust.js'

underDust({ seconds: 2, timeout: 120_000 })
