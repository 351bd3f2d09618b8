/**
 * Metrics of a process in Prometheus' text format.
 *
 * ```ts
 * const metrics = await serveMetrics(registry, { host: '127.0.0.1', port: 0 })
 * metrics.url            // http://127.0.0.1:43210/metrics
 * await metrics.stop()
 * ```
 *
 * @packageDocumentation
 */
import { createServer } from 'node:http'
import { Registry, collectDefaultMetrics } from 'prom-client'
import { z } from 'zod'

export { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Where metrics are served; loopback unless the operator says otherwise. Port 0: any. */
export const metricsSettings = z.strictObject({
  host: z.string().default('127.0.0.1'),
  port: z.number().int().min(0).max(65_535).default(0)
})
export type MetricsSettings = z.infer<typeof metricsSettings>

export interface MetricsServer {
  readonly url: string
  stop(): Promise<void>
}

/** A registry that measures the process itself too. */
export function processRegistry(): Registry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  return registry
}

/** Requests under way at once; a scraper makes one. */
const MAX_CONNECTIONS = 16

/** As an address stands in a URL; one of IPv4 that came over a socket of IPv6 as itself. */
const inUrl = (address: string): string => {
  const plain = address.replace(/^::ffff:(?=[\d.]+$)/, '')
  return plain.includes(':') ? `[${plain}]` : plain
}

export async function serveMetrics(
  registry: Pick<Registry, 'metrics' | 'contentType'>,
  { host, port }: MetricsSettings
): Promise<MetricsServer> {
  // A page that has given its own name our address sends that name.
  const names = new Set(['127.0.0.1', 'localhost', '[::1]', inUrl(host)])
  const server = createServer((request, response) => {
    const name = (request.headers.host ?? '').replace(/:\d{1,5}$/, '')
    // Bound to all addresses, the one that was connected to is ours, too; a name never is.
    if (!names.has(name) && name !== inUrl(request.socket.localAddress ?? '')) return void response.writeHead(421).end()
    if (request.method !== 'GET' || request.url !== '/metrics') return void response.writeHead(404).end()
    registry.metrics().then(
      text => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      () => response.writeHead(500).end()
    )
  })
  server.maxConnections = MAX_CONNECTIONS
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      resolve()
    })
  })
  const address = server.address()
  const bound = address === null || typeof address === 'string' ? port : address.port
  return {
    url: `http://${inUrl(host)}:${bound}/metrics`,
    stop: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
