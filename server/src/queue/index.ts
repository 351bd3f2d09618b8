/**
 * How tasks move: a job brings the offers of one task or of some onto the ledger, and whatever the ledger says afterwards tells the
 * candidates, opens windows and ends things. BullMQ hands the work out; the truth stands in the task table and on the
 * ledger, so Redis may lose everything.
 */
export { Candidates } from './candidates.js'
export { TaskDriver } from './driver.js'
export { JobQueue, type JobQueueInit } from './job-queue.js'
export type { RedisAddress } from './redis.js'
export { Sweeper } from './sweeper.js'
export { openCandidates, nextWindow } from './windows.js'
