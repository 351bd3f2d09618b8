import { PekkaError, toHex } from '../../protocol/index.js'
import type { Step } from '../step.js'
import { lapse } from './run.js'
import { close, refund } from './settle.js'
import { giveUpStopping } from './tranche.js'

export { taskInvariant } from './invariant.js'
export { accept, decline } from './accept.js'
export { bidDeposit, levyOn, lockFor, sliceOf } from './escrow.js'
export { fits } from './fits.js'
export { offer } from './offer.js'
export { alive, cancel, commit, fail, USAGE_TOLERANCE_MS } from './run.js'
export { closeSession, tranche } from './tranche.js'
export { anyLeft, isOut, windowOpens } from './windows.js'
export { viewOf, type TaskRow } from './record.js'

/** What happens when a task's time is up (PROTOCOL §9, column "deadline → default"). Nobody signs it. */
export function taskTimer(step: Step, id: Uint8Array): void {
  const task = step.view.get('task', toHex(id))
  if (task === undefined) throw new TypeError('a timer of a task that is gone')
  switch (task.state) {
    case 'offered':
      return refund(step, task, 'no-provider')
    case 'running':
      return lapse(step, task)
    case 'stopping':
      return giveUpStopping(step, task)
    case 'settled':
      return close(step, task)
    default:
      throw new PekkaError('TASK_STATE', { state: task.state, body: 'timer' })
  }
}
