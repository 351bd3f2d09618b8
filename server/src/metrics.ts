import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'

/** All metrics of the bridge; `GET /metrics` on loopback shows them. No label ever names a user, task or key. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  return {
    registry,
    /** Starts the measuring of the process itself; once per process. */
    measureProcess: () => collectDefaultMetrics({ register: registry }),
    httpRequests: new Counter({
      name: 'pekka_bridge_http_requests_total',
      help: 'Answers by route and status',
      labelNames: ['route', 'status'] as const,
      registers
    }),
    httpSeconds: new Histogram({
      name: 'pekka_bridge_http_request_seconds',
      help: 'Time to answer by route',
      labelNames: ['route'] as const,
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
      registers
    }),
    tasksSubmitted: new Counter({ name: 'pekka_bridge_tasks_submitted_total', help: 'Tasks taken in', registers }),
    tasksRefused: new Counter({
      name: 'pekka_bridge_tasks_refused_total',
      help: 'Tasks whose offer the ledger refused, by code',
      labelNames: ['code'] as const,
      registers
    }),
    tasksOpen: new Gauge({ name: 'pekka_bridge_tasks_open', help: 'Tasks that are not closed', registers }),
    offerSeconds: new Histogram({
      name: 'pekka_bridge_offer_seconds',
      help: 'From taking a task in to its offer being final',
      buckets: [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30],
      registers
    }),
    diskFree: new Gauge({ name: 'pekka_bridge_disk_free_bytes', help: 'Free space of the bridge’s disk', registers }),
    links: new Gauge({ name: 'pekka_bridge_connected_providers', help: 'Providers that are connected', registers }),
    linkRefusals: new Counter({
      name: 'pekka_bridge_link_refusals_total',
      help: 'Messages of providers that were refused, by code',
      labelNames: ['code'] as const,
      registers
    }),
    frames: new Counter({ name: 'pekka_bridge_frames_total', help: 'Frames written to logs', registers }),
    frameBytes: new Counter({
      name: 'pekka_bridge_frame_bytes_total',
      help: 'Bytes of frames written to logs',
      registers
    }),
    acksHeld: new Gauge({ name: 'pekka_bridge_held_runs', help: 'Runs held back for a slow reader', registers }),
    sockets: new Gauge({ name: 'pekka_bridge_live_clients', help: 'Clients on the live stream', registers }),
    subscriptions: new Gauge({ name: 'pekka_bridge_followed_tasks', help: 'Tasks followed by clients', registers }),
    queueAdds: new Counter({
      name: 'pekka_bridge_queue_adds_total',
      help: 'Jobs added, by why',
      labelNames: ['why'] as const,
      registers
    })
  }
}
export type Metrics = ReturnType<typeof createMetrics>
