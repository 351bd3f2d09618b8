import { readFile } from 'node:fs/promises'
import { createReadStream, createWriteStream } from 'node:fs'
import { Agent, get, type RequestOptions } from 'node:https'
import { get as getPlain, Agent as PlainAgent, type IncomingMessage } from 'node:http'
import { Transform, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { rootCertificates } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { PekkaError } from '@pekka/node/protocol'
import { DOWNLOAD_SILENCE_MS, MAX_REDIRECTS } from './constants.js'

/** Fetches files of the package index that the resolver named, with the user's proxies, certificates and passwords. */
export class Downloader {
  #agents: Promise<{ https: Agent; http: PlainAgent }> | null = null

  constructor(private readonly environment: () => Promise<NodeJS.ProcessEnv>) {}

  /** @throws PekkaError LAYERS_UNREACHABLE, LAYER_TOO_LARGE */
  async fetch(url: string, path: string, max: number, signal: AbortSignal): Promise<void> {
    let seen = 0
    const count = new Transform({
      transform(chunk: Buffer, _, done) {
        seen += chunk.length
        done(seen > max ? new PekkaError('LAYER_TOO_LARGE', { size: seen, max }) : null, chunk)
      }
    })
    try {
      await pipeline(await this.#open(url, signal), count, createWriteStream(path, { flags: 'wx', mode: 0o600 }), {
        signal
      })
    } catch (cause) {
      if (cause instanceof PekkaError) throw cause
      signal.throwIfAborted()
      throw unreachable(url, cause instanceof Error ? cause.message : String(cause), cause)
    }
  }

  close(): void {
    void this.#agents?.then(({ https, http }) => {
      https.destroy()
      http.destroy()
    })
  }

  async #open(url: string, signal: AbortSignal): Promise<Readable> {
    if (url.startsWith('file://')) return createReadStream(fileURLToPath(url))
    const environment = await this.environment()
    this.#agents ??= agentsFor(environment)
    const agents = await this.#agents
    let address = new URL(url)
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const answer = await ask(address, { headers: loginFor(address, environment), signal }, agents)
      const { statusCode = 0, headers } = answer
      if (statusCode === 200) return answer
      answer.resume()
      if (headers.location === undefined || statusCode < 300 || statusCode >= 400)
        throw unreachable(url, `it answered ${statusCode}`)
      const next = new URL(headers.location, address)
      // What was reached with encryption stays so; the hash holds what it is.
      if (!/^https?:$/.test(next.protocol) || (address.protocol === 'https:' && next.protocol !== 'https:'))
        throw unreachable(url, 'it leads elsewhere')
      address = next
    }
    throw unreachable(url, 'it leads round in circles')
  }
}

function ask(
  address: URL,
  options: RequestOptions,
  agents: { https: Agent; http: PlainAgent }
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request =
      address.protocol === 'https:'
        ? get(address, { ...options, agent: agents.https }, resolve)
        : getPlain(address, { ...options, agent: agents.http }, resolve)
    request.setTimeout(DOWNLOAD_SILENCE_MS, () => request.destroy(new Error('it does not answer')))
    request.on('error', reject)
  })
}

async function agentsFor(environment: NodeJS.ProcessEnv): Promise<{ https: Agent; http: PlainAgent }> {
  const file = environment['SSL_CERT_FILE']
  const own = file === undefined || file === '' ? null : await readFile(file, 'utf8').catch(() => null)
  const ca = own === null ? undefined : [...rootCertificates, own]
  const { HTTP_PROXY, HTTPS_PROXY, NO_PROXY, http_proxy, https_proxy, no_proxy } = environment
  const proxyEnv = { HTTP_PROXY, HTTPS_PROXY, NO_PROXY, http_proxy, https_proxy, no_proxy }
  return { https: new Agent({ keepAlive: true, ca, proxyEnv }), http: new PlainAgent({ keepAlive: true, proxyEnv }) }
}

/** Name and password of an index, where its address in the settings has them: for that host alone. */
function loginFor(address: URL, environment: NodeJS.ProcessEnv): Record<string, string> {
  const places = ['UV_DEFAULT_INDEX', 'UV_INDEX', 'UV_INDEX_URL', 'UV_EXTRA_INDEX_URL', 'UV_FIND_LINKS']
  for (const place of places.flatMap(name => (environment[name] ?? '').split(/[\s,]+/))) {
    const index = URL.canParse(place.replace(/^[\w-]+=/, '')) ? new URL(place.replace(/^[\w-]+=/, '')) : null
    if (index === null || index.host !== address.host || index.username === '') continue
    const login = `${decodeURIComponent(index.username)}:${decodeURIComponent(index.password)}`
    return { authorization: `Basic ${Buffer.from(login).toString('base64')}` }
  }
  return {}
}

const unreachable = (url: string, issue: string, cause?: unknown): PekkaError =>
  new PekkaError('LAYERS_UNREACHABLE', { issue: `${url.split('/').pop() ?? ''}: ${issue}` }, { cause })
