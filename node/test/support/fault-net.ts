import { DelayProxy } from './delay-proxy.js'

const ADDRESS = /^\/ip4\/([^/]+)\/tcp\/(\d+)/

/** Links between processes, each through a proxy of its own, so that one of them can be cut off from the others, or made slow. */
export class FaultNet {
  readonly #links: { from: number; to: number; proxy: DelayProxy }[] = []

  /** Where a process finds the others: every link of it goes through here. */
  async peersOf(from: number, addresses: readonly string[]): Promise<string[]> {
    return await Promise.all(
      addresses.map(async (address, to) => {
        if (to === from) return address
        const [, host, port] = ADDRESS.exec(address) ?? []
        if (host === undefined) throw new TypeError(`${address} is no TCP address`)
        const proxy = new DelayProxy({ target: { host, port: Number(port) } })
        this.#links.push({ from, to, proxy })
        return address.replace(ADDRESS, `/ip4/127.0.0.1/tcp/${await proxy.start()}`)
      })
    )
  }

  /** Cuts one off: its connections are reset, and new ones carry nothing. */
  cutOff(one: number): void {
    for (const proxy of this.#of(one)) {
      proxy.stall()
      proxy.cut()
    }
  }

  /** Its connections stand, and carry nothing: neither side sees an end. */
  halfOpen(one: number): void {
    for (const proxy of this.#of(one)) proxy.stall()
  }

  /** It is cut off from all but one. */
  leave(one: number, other: number): void {
    for (const { from, to, proxy } of this.#links)
      if ((from === one && to !== other) || (to === one && from !== other)) {
        proxy.stall()
        proxy.cut()
      }
  }

  /** All that it sends and is sent takes so long, ms. */
  slow(one: number, delay: number): void {
    for (const proxy of this.#of(one)) proxy.delay = delay
  }

  heal(one: number): void {
    for (const proxy of this.#of(one)) {
      proxy.delay = 0
      proxy.stall(false)
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#links.map(({ proxy }) => proxy.stop()))
  }

  #of(one: number): DelayProxy[] {
    return this.#links.filter(({ from, to }) => from === one || to === one).map(({ proxy }) => proxy)
  }
}
