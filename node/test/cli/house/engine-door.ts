import { rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'

/** How a request begins that sends an image to the engine (Docker Engine API, ImageCreate with `fromSrc=-`). */
const IMPORT = /^POST \S*\/images\/create\?/

/** A socket in front of a Docker Engine's that lets everything pass but images, which wait at the door until they are let in. */
export class EngineDoor {
  readonly #sockets = new Set<Socket>()
  #server: Server | undefined
  #arrived = (): void => undefined
  #open = (): void => undefined
  /** Resolves when the first image has arrived. */
  readonly importing = new Promise<void>(resolve => (this.#arrived = resolve))
  readonly #let = new Promise<void>(resolve => (this.#open = resolve))

  private constructor(
    readonly path: string,
    private readonly engine: string
  ) {}

  static async open(path: string, engine: string): Promise<EngineDoor> {
    const door = new EngineDoor(path, engine)
    // a container's input ends before its output does
    const server = createServer({ allowHalfOpen: true }, socket => door.#pass(socket))
    door.#server = server
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
    return door
  }

  letIn(): void {
    this.#open()
  }

  async close(): Promise<void> {
    this.#open()
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => (this.#server ? this.#server.close(resolve) : resolve(undefined)))
    await rm(this.path, { force: true })
  }

  #pass(client: Socket): void {
    const upstream = connect({ path: this.engine, allowHalfOpen: true })
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client]
    ] as const) {
      this.#sockets.add(socket)
      socket.on('error', () => other.destroy())
      socket.on('close', () => (this.#sockets.delete(socket), other.destroySoon()))
    }
    upstream.pipe(client)
    void this.#forward(client, upstream)
  }

  async #forward(client: Socket, upstream: Socket): Promise<void> {
    try {
      for await (const chunk of client) {
        if (IMPORT.test(String(chunk.subarray(0, 200)))) {
          this.#arrived()
          await this.#let
        }
        if (!upstream.write(chunk)) await drained(upstream)
      }
      upstream.end()
    } catch {
      upstream.destroy()
    }
  }
}

/** Resolves when more may be written, or nothing can be any more. */
const drained = (socket: Socket): Promise<void> =>
  new Promise(resolve => {
    const done = (): void => {
      socket.off('drain', done).off('close', done)
      resolve()
    }
    socket.on('drain', done).on('close', done)
  })
