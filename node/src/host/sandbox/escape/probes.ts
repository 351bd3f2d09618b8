import { LIMITS } from './limits.js'
import type { Probe } from './probe.js'
import { REACH } from './reach.js'
import { RIGHTS } from './rights.js'

export { BOMB, type Probe, type ProbeTargets } from './probe.js'
export { PROBE_DRIVER } from './driver.js'

/** All attempts. The bombs come last: what they leave behind slows nothing down. */
export const PROBES: readonly Probe[] = [...REACH, ...RIGHTS, ...LIMITS]
