import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { selfSigned } from './certificate.js'

/** A server of data by https on this machine, in the place of one on the Internet. */
export class DataServer {
  /** Paths that were asked for. */
  readonly asked: string[] = []

  private constructor(
    private readonly server: Server,
    private readonly folder: string
  ) {}

  /** @param files what stands at a path: `/stars.csv` */
  static async start(files: Record<string, string>): Promise<DataServer> {
    const { cert, key } = selfSigned(['127.0.0.1'])
    const folder = await mkdtemp(join(tmpdir(), 'pekka-data-'))
    await writeFile(join(folder, 'cert.pem'), cert)
    const server = createServer({ cert, key })
    const made = new DataServer(server, folder)
    server.on('request', (request, response) => {
      const path = request.url ?? ''
      made.asked.push(path)
      const found = files[path.split('?')[0] ?? '']
      if (found === undefined) response.writeHead(404).end()
      else response.end(found)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    return made
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  /** The address of a path. */
  at(path: string): string {
    return `https://${this.host}${path}`
  }

  /** What an operator of a bridge writes so that it may ask this server: its address isn't public, its certificate nobody's. */
  get settings(): object {
    return { allowPrivate: [this.host], ca: join(this.folder, 'cert.pem') }
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise(resolve => this.server.close(resolve))
    await rm(this.folder, { recursive: true })
  }
}
