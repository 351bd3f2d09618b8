import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { lookup as systemLookup } from 'node:dns/promises'
import { get as getPlain, type IncomingMessage, type RequestOptions } from 'node:http'
import { Agent, get } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { MAX_INPUT_BYTES, PekkaError } from '@pekka/node/protocol'
import { isPublic } from './addresses.js'
import { FETCH_MS, MAX_REDIRECTS, SILENCE_MS } from './constants.js'

export interface FetchPolicy {
  /** Hosts that may be asked: `data.example.org`, `*.example.org`, or `*`. */
  allow: readonly string[]
  /** `host:port` of servers in the own network that may be asked although their address isn't public, http too. */
  allowPrivate: readonly string[]
  maxBytes: number
  /** Certificates beside the usual ones, PEM. */
  ca?: string | undefined
}

export interface Found {
  hash: Uint8Array
  size: number
  /** What a server calls this state of it. */
  etag: string | null
}

/** Addresses of a name. */
export type Resolve = (name: string) => Promise<string[]>

const resolveName: Resolve = async name => (await systemLookup(name, { all: true })).map(({ address }) => address)

/**
 * Fetches an input. Who may choose an address must not reach what only this computer reaches: the name is resolved once,
 * every address of it must be public, and the connection goes to one that was checked; each redirect again.
 * @returns null where the server says that nothing has changed since `etag`
 * @throws PekkaError INPUT_REFUSED, INPUT_UNREACHABLE, INPUT_TOO_BIG; the signal's reason
 */
export async function fetchInput(
  url: string,
  path: string,
  policy: FetchPolicy,
  { etag, signal, resolve = resolveName }: { etag?: string | null; signal: AbortSignal; resolve?: Resolve }
): Promise<Found | null> {
  const either = AbortSignal.any([signal, AbortSignal.timeout(FETCH_MS)])
  // An agent of its own: the one of all requests may have been told to use a proxy, which would resolve names itself.
  const agent = new Agent({ keepAlive: false, ...(policy.ca === undefined ? {} : { ca: policy.ca }) })
  try {
    let address = url
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const target = await admit(address, url, policy, resolve)
      const headers = { 'accept-encoding': 'identity', ...(etag ? { 'if-none-match': etag } : {}) }
      const answer = await ask(target, { headers, signal: either }, agent)
      const { statusCode = 0, headers: said } = answer
      if (statusCode === 200) return await keep(answer, path, url, policy)
      answer.destroy()
      if (statusCode === 304 && etag) return null
      if (said.location === undefined || statusCode < 300 || statusCode >= 400)
        throw new PekkaError('INPUT_UNREACHABLE', { url, issue: `the server answered ${statusCode}` })
      if (!URL.canParse(said.location, address)) throw refuse(url, 'it leads to something that is no address')
      address = new URL(said.location, address).href
    }
    throw new PekkaError('INPUT_UNREACHABLE', { url, issue: 'it leads round in circles' })
  } catch (cause) {
    if (cause instanceof PekkaError) throw cause
    signal.throwIfAborted()
    const issue = cause instanceof Error && 'code' in cause ? String(cause.code) : 'the connection failed'
    throw new PekkaError('INPUT_UNREACHABLE', { url, issue }, { cause })
  } finally {
    agent.destroy()
  }
}

interface Target {
  url: URL
  /** Where the connection goes. */
  address: string
}

async function admit(text: string, original: string, policy: FetchPolicy, resolve: Resolve): Promise<Target> {
  if (!URL.canParse(text)) throw refuse(original, 'it is no address')
  const url = new URL(text)
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port
  const name = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '')
  const isOwn = policy.allowPrivate.includes(`${url.hostname}:${port}`)
  if (url.username !== '' || url.password !== '') throw refuse(original, 'it holds a password')
  if (!isOwn && url.protocol !== 'https:') throw refuse(original, 'it is not https')
  if (!/^https?:$/.test(url.protocol)) throw refuse(original, 'it is neither https nor http')
  if (!isOwn && port !== '443') throw refuse(original, 'its port is not that of https')
  if (!isOwn && !policy.allow.some(pattern => matches(name, pattern)))
    throw refuse(original, `the bridge does not fetch from ${name}`)
  const addresses = isIP(name) === 0 ? await resolve(name) : [name]
  const [first] = addresses
  if (first === undefined)
    throw new PekkaError('INPUT_UNREACHABLE', { url: original, issue: 'its name has no address' })
  // All of them: a name that is public now and then is a trick.
  if (!isOwn && !addresses.every(isPublic)) throw refuse(original, 'it is no server of the public Internet')
  return { url, address: first }
}

/** `*.example.org` holds for what is below it, not for itself. */
function matches(name: string, pattern: string): boolean {
  if (pattern === '*') return true
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern
}

function ask({ url, address }: Target, options: RequestOptions, agent: Agent): Promise<IncomingMessage> {
  const family = isIP(address)
  // The one place where a name becomes an address, answered with what was checked.
  const lookup: LookupFunction = (_name, wish, done) => {
    if (wish.all === true) done(null, [{ address, family }])
    else done(null, address, family)
  }
  return new Promise((resolve, reject) => {
    const request =
      url.protocol === 'https:'
        ? get(url, { ...options, lookup, agent }, resolve)
        : getPlain(url, { ...options, lookup, agent: false }, resolve)
    request.setTimeout(SILENCE_MS, () => request.destroy(new Error('it does not answer')))
    request.on('error', reject)
  })
}

async function keep(answer: IncomingMessage, path: string, url: string, { maxBytes }: FetchPolicy): Promise<Found> {
  const max = Math.min(maxBytes, MAX_INPUT_BYTES)
  const tooBig = (): PekkaError => new PekkaError('INPUT_TOO_BIG', { url, max })
  const encoding = answer.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    throw new PekkaError('INPUT_UNREACHABLE', { url, issue: 'the server packs it in an unasked way' })
  if (Number(answer.headers['content-length'] ?? 0) > max) {
    answer.destroy()
    throw tooBig()
  }
  const hasher = createHash('sha256')
  let size = 0
  const count = new Transform({
    transform(chunk: Buffer, _, done) {
      size += chunk.length
      hasher.update(chunk)
      done(size > max ? tooBig() : null, chunk)
    }
  })
  await pipeline(answer, count, createWriteStream(path, { flags: 'wx', mode: 0o600 }))
  if (!answer.complete) throw new PekkaError('INPUT_UNREACHABLE', { url, issue: 'it ended early' })
  return { hash: new Uint8Array(hasher.digest()), size, etag: answer.headers.etag ?? null }
}

const refuse = (url: string, issue: string): PekkaError => new PekkaError('INPUT_REFUSED', { url, issue })
