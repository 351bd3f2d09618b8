/**
 * Attaching to a container, raw. dockerode's own `attach` sends its options as the request's body, which stands in the
 * stream right before what we write: an engine that hands over what its HTTP reader had not consumed puts that JSON
 * into the program's stdin (dockerode #742). So we ask without any body, and nothing but our bytes can ever get there.
 */
import type Docker from 'dockerode'
import { request as httpRequest, type RequestOptions } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { Duplex } from 'node:stream'
import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { PekkaError } from '@pekka/node/protocol'

/** Where docker-modem talks to; its types leave these out. */
interface ModemAddress {
  socketPath?: string
  host?: string
  port?: number | string
  protocol?: string
  ca?: string
  cert?: string
  key?: string
  version?: string
}

/** Both directions of the container's standard streams. `end()` closes its stdin only. */
export function attach(docker: Docker, id: string, signal?: AbortSignal): Promise<Duplex> {
  // The fields exist (docker-modem/lib/modem.js) but aren't typed.
  const modem = docker.modem as unknown as ModemAddress
  const version = modem.version === undefined ? '' : `/${modem.version}`
  const options: RequestOptions = {
    method: 'POST',
    path: `${version}/containers/${encodeURIComponent(id)}/attach?stream=1&stdin=1&stdout=1&stderr=1`,
    headers: { Connection: 'Upgrade', Upgrade: 'tcp', 'Content-Length': '0' },
    agent: false
  }
  const secure = modem.protocol === 'https'
  const address =
    modem.socketPath === undefined
      ? { host: hostOf(modem.host), port: modem.port, ca: modem.ca, cert: modem.cert, key: modem.key }
      : { socketPath: modem.socketPath }

  return new Promise((resolve, reject) => {
    const fail = (issue: string, cause?: unknown) => reject(new PekkaError('SANDBOX_FAILED', { issue }, { cause }))
    const request = (secure ? httpsRequest : httpRequest)({ ...options, ...address })
    // Not the request's own `signal`: that would also cut the stream long after, when nobody waits for it any more.
    const stop = () => request.destroy(new Error('cancelled'))
    signal?.addEventListener('abort', stop, { once: true })
    request.once('close', () => signal?.removeEventListener('abort', stop))
    request.once('upgrade', (_response, socket, head) => {
      signal?.removeEventListener('abort', stop)
      if (head.length > 0) socket.unshift(head)
      // Ends when the container does; without a listener an abrupt end would bring the provider down.
      socket.on('error', () => {})
      socket.setTimeout(0)
      resolve(socket)
    })
    request.once('response', response => {
      response.resume()
      fail(`the engine does not attach (status ${response.statusCode ?? 0})`)
    })
    request.once('error', error => fail(`the engine does not attach: ${error.message}`, error))
    request.end()
  })
}

const hostOf = (host: string | undefined) => (host?.includes('://') === true ? new URL(host).hostname : host)

/** Bytes before each piece: stream number, three zeros, big-endian length (Engine API, "Stream format"). */
const HEADER_BYTES = 8
const STDERR = 2

export interface SeparateStreams {
  stdout: Readable
  stderr: Readable
  /** Takes in what is still on the way without waiting for readers. To be called once nothing new can be written. */
  flush(): void
}

/**
 * Splits the engine's joint stream. It waits for whoever reads slower, so an output that nobody reads blocks the program
 * and doesn't fill our memory; as there is one stream, it blocks the other output too. An engine waits for us in turn
 * before it reports the end of a container, hence `flush` after a kill.
 */
export function separate(joint: Readable): SeparateStreams {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const flushed = Promise.withResolvers<void>()
  let flushing = false
  void pipeline(joint, async (source: AsyncIterable<Buffer>) => {
    let header = Buffer.alloc(0)
    let target = stdout
    let left = 0
    for await (const chunk of source) {
      let rest = chunk
      while (rest.length > 0) {
        if (left === 0) {
          const missing = HEADER_BYTES - header.length
          header = Buffer.concat([header, rest.subarray(0, missing)])
          rest = rest.subarray(missing)
          if (header.length < HEADER_BYTES) break
          target = header[0] === STDERR ? stderr : stdout
          left = header.readUInt32BE(4)
          header = Buffer.alloc(0)
          continue
        }
        const piece = rest.subarray(0, left)
        rest = rest.subarray(piece.length)
        left -= piece.length
        if (target.destroyed) continue
        if (!target.write(piece) && !flushing) await Promise.race([drained(target), flushed.promise])
      }
    }
  })
    .catch(() => {})
    .finally(() => {
      stdout.end()
      stderr.end()
    })
  const flush = () => {
    flushing = true
    flushed.resolve()
  }
  return { stdout, stderr, flush }
}

function drained(stream: PassThrough): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      stream.off('drain', done).off('close', done)
      resolve()
    }
    stream.on('drain', done).on('close', done)
  })
}
