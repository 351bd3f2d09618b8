import type { IncomingMessage } from 'node:http'
import { PekkaError } from '@pekka/node/protocol'

export interface GuardInit {
  /** Origins (`https://lab.example.org`) whose pages may use this bridge, e.g. JupyterLab's. */
  allowedOrigins: string[]
  /** Host names under which it is served, beside this machine's own. */
  allowedHosts: string[]
}

const LOOPBACK_NAMES = ['127.0.0.1', 'localhost', '[::1]']

/**
 * Who may speak to the bridge from a browser (B7, B8, B12). Whoever answers to a name of ours by DNS rebinding sends that
 * name as Host; a page of another site sends its Origin. Nothing of `X-Forwarded-*` is read: behind JupyterLab's proxy the
 * Host and Origin are Lab's own and are allowed by the settings, or are equal, which is a page of the same origin.
 */
export class Guard {
  readonly #hosts: Set<string>
  readonly #origins: Set<string>

  constructor(init: GuardInit) {
    this.#hosts = new Set([...LOOPBACK_NAMES, ...init.allowedHosts.map(name => name.toLowerCase())])
    this.#origins = new Set(init.allowedOrigins.map(origin => origin.toLowerCase()))
  }

  /** @throws PekkaError HOST_REFUSED, ORIGIN_REFUSED */
  check(request: Pick<IncomingMessage, 'headers'>): void {
    const { host, origin } = request.headers
    if (host === undefined || !this.#servesHost(host)) throw new PekkaError('HOST_REFUSED')
    if (origin !== undefined && !this.allowsOrigin(origin, host)) throw new PekkaError('ORIGIN_REFUSED', { origin })
    if (origin === undefined && request.headers['sec-fetch-site'] === 'cross-site')
      throw new PekkaError('ORIGIN_REFUSED', { origin: 'another site' })
  }

  allowsOrigin(origin: string, host: string | undefined): boolean {
    const lower = origin.toLowerCase()
    if (this.#origins.has(lower)) return true
    // Same origin: the host has been checked, and a page of another port or name has another one.
    return host !== undefined && (lower === `http://${host.toLowerCase()}` || lower === `https://${host.toLowerCase()}`)
  }

  #servesHost(host: string): boolean {
    const lower = host.toLowerCase()
    return this.#hosts.has(lower) || this.#hosts.has(lower.replace(/:\d{1,5}$/, ''))
  }
}

/** Whether an address of a socket is this machine itself. */
export const isLoopback = (address: string | undefined): boolean =>
  address !== undefined && (address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.'))
