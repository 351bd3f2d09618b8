import { hasGpu, type Resources } from '../../protocol/index.js'

/** Whether a machine as published serves what a task needs. */
export const fits = (needed: Resources, offered: Resources): boolean =>
  needed.milliCpus <= offered.milliCpus &&
  needed.memoryBytes <= offered.memoryBytes &&
  needed.diskBytes <= offered.diskBytes &&
  hasGpu(needed.gpu, offered.gpu)
