import type { Writable } from 'node:stream'
import { once } from 'node:events'
import { toJson, type TaskEvent } from '../../core/protocol/index.js'

/** Passes a task's output through: stdout to stdout, stderr to stderr, byte for byte. */
export class Printer {
  constructor(
    private readonly components: { stdout: Writable; stderr: Writable },
    private readonly init: { json: boolean }
  ) {}

  /** Resolves when the streams take more: a slow reader is felt by the provider. */
  async print(events: TaskEvent[]): Promise<void> {
    for (const event of events) {
      if (this.init.json) await this.#write(this.components.stdout, `${JSON.stringify(plain(event))}\n`)
      else await this.#show(event)
    }
  }

  async #show(event: TaskEvent): Promise<void> {
    const { stdout, stderr } = this.components
    switch (event.type) {
      case 'stream':
        if (typeof event.text === 'string' || event.text instanceof Uint8Array) {
          await this.#write(event.name === 'stdout' ? stdout : stderr, event.text)
        }
        return
      case 'execute_result':
      case 'display_data': {
        const text = event.data['text/plain']
        if (typeof text === 'string') await this.#write(stdout, `${text}\n`)
        return
      }
      case 'error':
        return await this.#write(stderr, `${event.traceback.join('\n')}\n`)
      case 'truncated':
        return await this.#write(stderr, `[${event.cutBytes} bytes of output were cut here]\n`)
      default:
    }
  }

  async #write(stream: Writable, data: string | Uint8Array): Promise<void> {
    if (!stream.write(data)) await once(stream, 'drain')
  }
}

/** An event as JSON; a script's bytes as base64. */
const plain = (event: TaskEvent): unknown => toJson(event)
