import { Gauge, type Registry } from '@pekka/node/host/metrics'

interface Status {
  running: number
  free: number
  undelivered: number
  linked: number
}

export interface ProviderMetricsComponents {
  registry: Registry
  status: () => Status
}

/** All metrics of a provider (docs/metrics.md). */
export function createProviderMetrics({ registry, status }: ProviderMetricsComponents): void {
  const gauge = (name: string, help: string, value: (now: Status) => number): Gauge =>
    new Gauge({
      name: `pekka_provider_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(value(status()))
      }
    })
  gauge('running_tasks', 'Tasks under way', now => now.running)
  gauge('free_places', 'Tasks that it could begin now', now => now.free)
  gauge('undelivered_runs', 'Runs whose output no bridge has on its disk yet', now => now.undelivered)
  gauge('connected_bridges', 'Bridges that it is linked to', now => now.linked)
}
