import { createServer, connect, type AddressInfo, type Server, type Socket } from 'node:net'

export interface DelayProxyInit {
  /** Where connections go. */
  target: { host: string; port: number }
  /** Time a byte needs in one direction, ms; a round trip takes twice as long. */
  delay?: number
  /** Bytes per second in each direction of each connection; none means unlimited. */
  bytesPerSecond?: number
}

/** What one direction may hold: 128 MiB is the bandwidth-delay product of 3 GB/s at 40 ms, so the proxy isn't the limit. */
const IN_FLIGHT_BYTES = 128 << 20

/** A TCP proxy that delays, slows, stalls or cuts, so that tests can have a long line without rights on the machine. */
export class DelayProxy {
  #server: Server | null = null
  readonly #sockets = new Set<Socket>()
  #stalled = false
  readonly #directions = new Set<{ run: () => void }>()
  /** Bytes that have been passed on so far, both directions. */
  passed = 0
  /** As in the init; what comes from now on takes so long. */
  delay: number

  constructor(private readonly init: DelayProxyInit) {
    this.delay = init.delay ?? 0
  }

  async start(): Promise<number> {
    const server = createServer({ noDelay: true }, client => this.#serve(client))
    this.#server = server
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    return (server.address() as AddressInfo).port // a TCP server that listens has this form of address
  }

  /** Holds everything back from now on, as a dead line does: no reset is seen by either side. */
  stall(stalled = true): void {
    this.#stalled = stalled
    if (!stalled) for (const direction of this.#directions) direction.run()
  }

  /** Cuts all connections with a reset. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
    this.#sockets.clear()
  }

  async stop(): Promise<void> {
    this.cut()
    await new Promise<void>(resolve => (this.#server === null ? resolve() : this.#server.close(() => resolve())))
  }

  #serve(client: Socket): void {
    const upstream = connect({ ...this.init.target, noDelay: true })
    this.#sockets.add(client).add(upstream)
    for (const socket of [client, upstream]) socket.on('error', () => {})
    // A clean end travels behind the data that is still under way; only a broken socket takes the other one with it.
    client.on('close', broken => broken && upstream.destroy())
    upstream.on('close', broken => broken && client.destroy())
    this.#pass(client, upstream)
    this.#pass(upstream, client)
  }

  #pass(from: Socket, to: Socket): void {
    const waiting: { at: number; data: Buffer | null }[] = []
    let held = 0
    let timer: NodeJS.Timeout | null = null
    let lineFreeAt = 0
    let full = false
    const run = () => {
      if (timer !== null) clearTimeout(timer)
      timer = null
      while (!full && waiting.length > 0 && !this.#stalled && !to.destroyed) {
        const next = waiting[0]
        if (next === undefined) break
        const wait = next.at - performance.now()
        if (wait > 0.5) {
          timer = setTimeout(run, wait)
          return
        }
        waiting.shift()
        if (next.data === null) {
          to.end()
          continue
        }
        held -= next.data.length
        this.passed += next.data.length
        if (from.isPaused() && held < IN_FLIGHT_BYTES / 2) from.resume()
        if (!to.write(next.data)) {
          full = true
          to.once('drain', () => {
            full = false
            run()
          })
        }
      }
    }
    const direction = { run }
    this.#directions.add(direction)
    from.on('close', () => this.#directions.delete(direction))
    const push = (data: Buffer | null) => {
      const now = performance.now()
      const seconds = this.init.bytesPerSecond === undefined ? 0 : (data?.length ?? 0) / this.init.bytesPerSecond
      lineFreeAt = Math.max(now, lineFreeAt) + seconds * 1000
      waiting.push({ at: lineFreeAt + this.delay, data })
      held += data?.length ?? 0
      // A slow line holds little, so that its sender feels it.
      const most = this.init.bytesPerSecond === undefined ? IN_FLIGHT_BYTES : 256 << 10
      if (held >= most) from.pause()
      if (timer === null && waiting.length === 1) run()
    }
    from.on('data', push)
    from.on('end', () => push(null))
  }
}
