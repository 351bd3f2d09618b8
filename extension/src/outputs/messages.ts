import type { KernelMessage } from '@jupyterlab/services'
import type { PartialJSONObject } from '@lumino/coreutils'

/** Fields that every message of one remote run shares. */
export interface Conversation {
  session: string
  /** ISO date of the messages; they come from no kernel and nothing reads it but timing extensions. */
  date: string
}

const header = <T extends KernelMessage.MessageType>(
  type: T,
  id: string,
  { session, date }: Conversation
): KernelMessage.IHeader<T> => ({
  msg_id: id,
  msg_type: type,
  session,
  username: 'pekka',
  date,
  version: '5.4'
})

/** The request that a local kernel would have been sent. Its code stays in the cell alone. */
export function requestMessage(id: string, conversation: Conversation): KernelMessage.IExecuteRequestMsg {
  return {
    channel: 'shell',
    header: header('execute_request', id, conversation),
    parent_header: {},
    metadata: {},
    content: {
      code: '',
      silent: false,
      store_history: true,
      user_expressions: {},
      allow_stdin: false,
      stop_on_error: true
    }
  }
}

type IopubType =
  'stream' | 'display_data' | 'update_display_data' | 'execute_result' | 'clear_output' | 'error' | 'status'

/** An IOPub message with already cleaned content. */
export function iopubMessage(
  type: IopubType,
  content: PartialJSONObject,
  id: string,
  request: KernelMessage.IExecuteRequestMsg,
  conversation: Conversation
): KernelMessage.IIOPubMessage {
  // The caller pairs type and content as the Jupyter protocol does; the union type can't follow that.
  return {
    channel: 'iopub',
    header: header(type, id, conversation),
    parent_header: request.header,
    metadata: {},
    content,
    buffers: []
  } as unknown as KernelMessage.IIOPubMessage
}

export function replyMessage(
  status: 'ok' | 'error' | 'aborted',
  executionCount: number | null,
  id: string,
  request: KernelMessage.IExecuteRequestMsg,
  conversation: Conversation
): KernelMessage.IExecuteReplyMsg {
  const content = status === 'ok' ? { payload: [], user_expressions: {} } : { ename: '', evalue: '', traceback: [] }
  // As above: status decides which fields there are.
  return {
    channel: 'shell',
    header: header('execute_reply', id, conversation),
    parent_header: request.header,
    metadata: {},
    content: { status, execution_count: executionCount, ...content }
  } as unknown as KernelMessage.IExecuteReplyMsg
}
