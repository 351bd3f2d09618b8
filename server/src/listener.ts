import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createSecureContext } from 'node:tls'
import type { Logger } from 'pino'
import { PekkaError, equalBytes } from '@pekka/node/protocol'
import type { Settings } from './settings.js'

/** How often the certificate's files are looked at, ms: it is renewed weeks before it ends. */
const RENEWAL_MS = 60_000

interface Pair {
  cert: Buffer
  key: Buffer
}

/** The socket of the HTTP side: plain on loopback, TLS where the settings give a certificate. */
export class Listener {
  #timer: NodeJS.Timeout | null = null

  private constructor(
    readonly server: Server | TlsServer,
    private readonly settings: Settings,
    private readonly log: Logger,
    private used: Pair | null
  ) {}

  /** @throws PekkaError USAGE where the certificate or its key can't be used */
  static async create(settings: Settings, log: Logger): Promise<Listener> {
    if (settings.tls === undefined) return new Listener(createHttpServer(), settings, log, null)
    const pair = await readPair(settings.tls)
    return new Listener(createTlsServer(pair), settings, log, pair)
  }

  /** @returns its URL @throws PekkaError PORT_TAKEN */
  async listen(): Promise<string> {
    const { http } = this.settings
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', error => {
        const taken = 'code' in error && error.code === 'EADDRINUSE'
        reject(taken ? new PekkaError('PORT_TAKEN', { port: http.port }, { cause: error }) : error)
      })
      this.server.listen(http.port, http.host, resolve)
    })
    if (this.used !== null) this.#timer = setInterval(() => void this.renew(), RENEWAL_MS).unref()
    // Bound to a TCP port, it has an address of this form.
    const { port } = this.server.address() as AddressInfo
    const name = http.host.includes(':') ? `[${http.host}]` : http.host
    return `${this.used === null ? 'http' : 'https'}://${name}:${port}`
  }

  /** Serves new connections with the certificate that is on the disk now; one that can't be used changes nothing. */
  async renew(): Promise<void> {
    const { tls } = this.settings
    if (tls === undefined || this.used === null || !('setSecureContext' in this.server)) return
    try {
      const pair = await readPair(tls)
      if (equalBytes(pair.cert, this.used.cert) && equalBytes(pair.key, this.used.key)) return
      this.server.setSecureContext(pair)
      this.used = pair
      this.log.info('the certificate was renewed')
    } catch (error) {
      this.log.warn({ err: error }, 'the certificate on the disk cannot be used; the one from before stays')
    }
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.server.closeAllConnections()
  }
}

async function readPair(files: { cert: string; key: string }): Promise<Pair> {
  const read = async (path: string): Promise<Buffer> => {
    try {
      return await readFile(path)
    } catch (cause) {
      throw new PekkaError('USAGE', { issue: `The certificate file ${path} cannot be read.` }, { cause })
    }
  }
  const pair = { cert: await read(files.cert), key: await read(files.key) }
  try {
    createSecureContext(pair)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'unreadable'
    const issue = `The certificate ${files.cert} and the key ${files.key} cannot be used (${reason}).`
    throw new PekkaError('USAGE', { issue }, { cause })
  }
  return pair
}
