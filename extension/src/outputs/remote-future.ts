import type { Kernel, KernelMessage } from '@jupyterlab/services'
import type { PartialJSONObject } from '@lumino/coreutils'
import type { EventOf } from '@pekka/node/protocol'
import type { OutputCleaner } from './clean.js'
import { FLUSH_MS, FLUSH_MS_PER_MIB, MAX_CELL_OUTPUTS, MAX_CELL_TEXT_CHARS } from './constants.js'
import { iopubMessage, replyMessage, requestMessage } from './messages.js'
import type { Conversation } from './messages.js'
import { StreamText } from './text.js'

/** Events that one cell's output area is fed with. */
export type CellEvent =
  | EventOf<'stream'>
  | EventOf<'display_data'>
  | EventOf<'update_display_data'>
  | EventOf<'execute_result'>
  | EventOf<'clear_output'>
  | EventOf<'error'>
  | EventOf<'truncated'>

export interface RemoteFutureComponents {
  cleaner: OutputCleaner
  /** Waits that need not be exact; replaced in tests. */
  timer?: { set: (then: () => void, ms: number) => unknown; clear: (handle: unknown) => void }
}

export interface RemoteFutureInit {
  /** Unique among the futures of the page. */
  id: string
  /** ISO date put into the messages' headers. */
  date: string
  /** A hint to print under a failure, in people's words; undefined where there is none. */
  hintFor?: (error: { ename: string; evalue: string }) => string | undefined
}

type Hook = (message: KernelMessage.IIOPubMessage) => boolean | PromiseLike<boolean>

const defaultTimer = {
  set: (then: () => void, ms: number): unknown => setTimeout(then, ms),
  // The handle is what `set` returned.
  clear: (handle: unknown): void => clearTimeout(handle as ReturnType<typeof setTimeout>)
}

/**
 * A shell future with no kernel behind it: JupyterLab's output area listens to it as to a local execution, so streams,
 * `\r`, display ids and `clear_output` behave as they do at home. Everything that is pushed is cleaned and delivered in the
 * order of pushing; `done` resolves after both the idle status and the reply.
 */
export class RemoteFuture implements Kernel.IShellFuture<
  KernelMessage.IExecuteRequestMsg,
  KernelMessage.IExecuteReplyMsg
> {
  readonly msg: KernelMessage.IExecuteRequestMsg
  readonly done: Promise<KernelMessage.IExecuteReplyMsg>
  // Plain settable members: JupyterLab assigns them when the output area changes hands (a moved cell, an undone deletion).
  onIOPub: (msg: KernelMessage.IIOPubMessage) => void | PromiseLike<void> = () => undefined
  onReply: (msg: KernelMessage.IExecuteReplyMsg) => void | PromiseLike<void> = () => undefined
  onStdin: (msg: KernelMessage.IStdinMessage) => void | PromiseLike<void> = () => undefined

  private readonly conversation: Conversation
  private readonly hooks: Hook[] = []
  private readonly streams = { stdout: new StreamText(), stderr: new StreamText() }
  private readonly timer: NonNullable<RemoteFutureComponents['timer']>
  private readonly disposal = new Set<() => void>()
  private resolve: (reply: KernelMessage.IExecuteReplyMsg) => void = () => undefined
  private reject: (reason: Error) => void = () => undefined
  private chain: Promise<void> = Promise.resolve()
  private waiting: { name: 'stdout' | 'stderr'; text: string }[] = []
  private pause: unknown
  private pausing = false
  private shownChars = 0
  private outputs = 0
  private messages = 0
  private finished = false
  private disposed = false

  constructor(
    private readonly components: RemoteFutureComponents,
    private readonly init: RemoteFutureInit
  ) {
    this.conversation = { session: init.id, date: init.date }
    this.msg = requestMessage(init.id, this.conversation)
    this.timer = components.timer ?? defaultTimer
    this.done = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    // Nobody may be waiting when it is disposed of; a rejection without a handler would be an error of the page.
    this.done.catch(() => undefined)
  }

  get isDisposed(): boolean {
    return this.disposed
  }

  /** Called once, when JupyterLab or the owner disposes of this future (e.g. a local run of the cell began). */
  onDisposed(listener: () => void): void {
    this.disposal.add(listener)
  }

  /** Takes one event of this cell. Once finished, only updates of its displays (a later cell may hold their handle). */
  push(event: CellEvent): void {
    if (this.disposed || (this.finished && event.type !== 'update_display_data')) return
    if (event.type === 'stream') {
      if (typeof event.text === 'string') this.stream(event.name, event.text)
      return
    }
    this.flush(true)
    switch (event.type) {
      case 'display_data':
      case 'update_display_data':
      case 'execute_result':
        return this.display(event)
      case 'clear_output':
        this.outputs = 0
        this.shownChars = 0
        return this.send('clear_output', { wait: event.wait })
      case 'error':
        return this.failure(event)
      case 'truncated':
        return this.note(
          `Output cut: ${size(event.cutBytes)} left out, ${size(event.keptBytes)} kept. Write it to a file instead.`
        )
    }
  }

  /** A line of ours between the outputs, on standard error. */
  note(text: string): void {
    if (this.finished || this.disposed) return
    this.flush(true)
    this.send('stream', { name: 'stderr', text: `${text}\n` })
  }

  /** The cell ended: the rest of its text, idle, reply. */
  finish(status: 'ok' | 'error' | 'aborted', executionCount: number | null): Promise<void> {
    if (this.finished || this.disposed) return this.chain
    this.flush(true)
    this.send('status', { execution_state: 'idle' })
    this.finished = true
    this.enqueue(async () => {
      const reply = replyMessage(status, executionCount, this.nextId(), this.msg, this.conversation)
      await this.onReply(reply)
      this.resolve(reply)
    })
    return this.chain
  }

  /** Resolves once everything pushed so far was delivered. */
  settled(): Promise<void> {
    this.flush(false)
    return this.chain
  }

  registerMessageHook(hook: Hook): void {
    this.hooks.push(hook)
  }

  removeMessageHook(hook: Hook): void {
    const index = this.hooks.indexOf(hook)
    if (index >= 0) this.hooks.splice(index, 1)
  }

  /** Nobody can type there: the runner refuses `input()` before this could be asked for. */
  sendInputReply(): void {}

  dispose(): void {
    if (this.disposed) return
    this.disposed = true
    if (this.pausing) this.timer.clear(this.pause)
    this.onIOPub = this.onReply = this.onStdin = () => undefined
    // JupyterLab tells a cancelled execution by this beginning of the text.
    this.reject(new Error('Canceled: the remote run no longer writes into this cell'))
    for (const listener of this.disposal) listener()
    this.disposal.clear()
  }

  private stream(name: 'stdout' | 'stderr', raw: string): void {
    const text = this.streams[name].push(raw)
    if (text === '') return
    const last = this.waiting.at(-1)
    if (last?.name === name) last.text += text
    else this.waiting.push({ name, text })
    if (!this.pausing) this.flush(false)
  }

  /** Sends waiting text. `end`: also what an unfinished escape sequence held back, because another output follows. */
  private flush(end: boolean): void {
    if (end) {
      for (const name of ['stdout', 'stderr'] as const) {
        const rest = this.streams[name].flush()
        if (rest !== '') this.waiting.push({ name, text: rest })
      }
    }
    const waiting = this.waiting
    this.waiting = []
    for (const { name, text } of waiting) this.text(name, text)
    if (waiting.length > 0 && !this.pausing) this.rest()
  }

  private rest(): void {
    this.pausing = true
    const ms = FLUSH_MS + FLUSH_MS_PER_MIB * Math.floor(this.shownChars / (1 << 20))
    this.pause = this.timer.set(() => {
      this.pausing = false
      this.flush(false)
    }, ms)
  }

  private text(name: 'stdout' | 'stderr', text: string): void {
    const room = MAX_CELL_TEXT_CHARS - this.shownChars
    this.shownChars += text.length
    if (room <= 0) return
    this.send('stream', { name, text: text.length <= room ? text : text.slice(0, room) })
    if (text.length > room) {
      this.send('stream', {
        name: 'stderr',
        text: '\nOutput cut here: this cell printed more than a notebook can hold.\n'
      })
    }
  }

  private display(event: EventOf<'display_data'> | EventOf<'update_display_data'> | EventOf<'execute_result'>): void {
    const { cleaner } = this.components
    const id = 'transient' in event ? cleaner.displayId(event.transient) : undefined
    if (event.type === 'update_display_data' && id === undefined) return
    if (event.type !== 'update_display_data' && !this.room()) return
    const content = cleaner.bundle(event).then((bundle): PartialJSONObject => ({
      data: bundle.data,
      metadata: bundle.metadata,
      ...(id === undefined ? {} : { transient: { display_id: id } }),
      ...(event.type === 'execute_result' ? { execution_count: event.executionCount } : {})
    }))
    this.send(event.type, content)
  }

  private room(): boolean {
    this.outputs += 1
    if (this.outputs === MAX_CELL_OUTPUTS + 1) {
      this.send('stream', { name: 'stderr', text: `More than ${MAX_CELL_OUTPUTS} outputs: the rest isn't shown.\n` })
    }
    return this.outputs <= MAX_CELL_OUTPUTS
  }

  private failure(event: EventOf<'error'>): void {
    if (!this.room()) return
    const error = this.components.cleaner.error(event)
    this.send('error', { ...error })
    const hint = this.init.hintFor?.(error)
    if (hint !== undefined) this.note(hint)
  }

  private nextId(): string {
    this.messages += 1
    return `${this.init.id}_${this.messages}`
  }

  private send(
    type: Parameters<typeof iopubMessage>[0],
    content: PartialJSONObject | Promise<PartialJSONObject>
  ): void {
    // Cleaning may have begun before its turn came; a rejection is met in the chain below.
    const ready = Promise.resolve(content)
    ready.catch(() => undefined)
    this.enqueue(async () => {
      const message = iopubMessage(type, await ready, this.nextId(), this.msg, this.conversation)
      if (await this.allowed(message)) await this.onIOPub(message)
    })
  }

  private async allowed(message: KernelMessage.IIOPubMessage): Promise<boolean> {
    for (const hook of [...this.hooks].reverse()) {
      try {
        if ((await hook(message)) === false) return false
      } catch (error) {
        // As a kernel's future does: a hook that throws doesn't stop the output.
        console.error('A message hook failed', error)
      }
    }
    return true
  }

  private enqueue(step: () => Promise<void>): void {
    this.chain = this.chain.then(async () => {
      if (this.disposed) return
      try {
        await step()
      } catch (error) {
        console.error('An output of a remote run could not be shown', error)
      }
    })
  }
}

/** `3 kB`, `12.4 MB`. */
function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 1e6) return `${Math.round(bytes / 1000)} kB`
  return `${(bytes / 1e6).toFixed(1)} MB`
}
