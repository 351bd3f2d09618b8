import { Notification } from '@jupyterlab/apputils'
import { PekkaError, asPekkaError, fromHex } from '@pekka/node/protocol'
import { encodeReceipt, verifyReceipt } from '@pekka/node/client'
import { createPrimitives, findSupport } from '../crypto/index.js'
import { showReceipt } from '../panel/index.js'
import type { Remote } from './tokens.js'

/** Gets a task's receipt, checks every signature and hash of it here, and shows what holds. */
export async function saveReceipt(remote: Remote, id: string): Promise<void> {
  const { client } = remote.connection
  try {
    if (client === null) throw new PekkaError('NOT_CONNECTED')
    const bytes = fromHex(id)
    let task = remote.tasks.get(id)
    // The manifest is inside the output, so a task of another day is read again.
    if (task === undefined || task.finished === null) task = await remote.tasks.whole(bytes)
    const receipt = await client.receipt(bytes, task.finished)
    const encoded = encodeReceipt(receipt)
    const { verifier } = createPrimitives(await findSupport(globalThis.crypto.subtle))
    const { checks } = await verifyReceipt(encoded, verifier)
    await showReceipt({ snapshot: task.snapshot, checks, encoded })
  } catch (error) {
    Notification.error(`The receipt can’t be had now. ${asPekkaError(error).message}`)
  }
}
