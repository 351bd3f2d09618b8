import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface IndexFile {
  name: string
  file: string
  bytes: Buffer
  /** ISO 8601; null: the index doesn't say. */
  uploaded?: string | null
  /** What the index says instead of the file's hash. */
  hash?: string
}

/** A package index of its own on this machine (PEP 691), so that a test knows what it holds. */
export class PackageIndex {
  readonly files: IndexFile[] = []
  /** Paths that were asked for. */
  readonly asked: string[] = []
  /** Files are promised and never sent. */
  silent = false
  readonly #server: Server

  constructor() {
    this.#server = createServer((request, response) => {
      const path = request.url ?? ''
      this.asked.push(path)
      const project = /^\/simple\/([^/]+)\/$/.exec(path)?.[1]
      const file = /^\/files\/(.+)$/.exec(path)?.[1]
      if (project !== undefined) return this.#project(project, response)
      const found = this.files.find(one => one.file === file)
      if (found === undefined) return void response.writeHead(404).end()
      if (this.silent) return void response.writeHead(200, { 'content-length': found.bytes.length }).flushHeaders()
      response.writeHead(200, { 'content-length': found.bytes.length }).end(found.bytes)
    })
  }

  async start(): Promise<void> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise(resolve => this.#server.close(resolve))
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/simple/`
  }

  #project(name: string, response: import('node:http').ServerResponse): void {
    const files = this.files.filter(one => one.name === name)
    if (files.length === 0) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': 'application/vnd.pypi.simple.v1+json' })
    response.end(
      JSON.stringify({
        meta: { 'api-version': '1.1' },
        name,
        versions: [],
        files: files.map(({ file, bytes, uploaded = '2024-01-01T00:00:00Z', hash }) => ({
          filename: file,
          url: `${this.url.replace('simple', 'files')}${file}`,
          size: bytes.length,
          hashes: { sha256: hash ?? createHash('sha256').update(bytes).digest('hex') },
          ...(uploaded !== null && { 'upload-time': uploaded })
        }))
      })
    )
  }
}
