/** Writes the tables of docs/metrics.md from the registries themselves: `npm run docs:metrics`. */
import { readFile, writeFile } from 'node:fs/promises'
import { Registry } from '@pekka/node/host/metrics'
import { createProviderMetrics } from '../../node/src/agents/provider/metrics.js'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import { createWitnessMetrics } from '../../node/src/agents/witness/metrics.js'
import { createMetrics } from '../../server/src/metrics.js'

export interface MetricFacts {
  name: string
  type: string
  labels: string[]
  help: string
}

export const METRICS_PAGE = new URL('../../docs/metrics.md', import.meta.url)
const BEGIN = '<!-- made by npm run docs:metrics; not edited by hand -->\n'

/** Registries as the processes make them, without what is measured of any process. */
export function registries(): Record<'bridge' | 'witness' | 'provider', Registry> {
  const witness = new Registry()
  createWitnessMetrics({ registry: witness, store: new MemoryLedgerStore() })
  const provider = new Registry()
  createProviderMetrics({
    registry: provider,
    status: () => ({ running: 0, free: 0, undelivered: 0, linked: 0 })
  })
  return { bridge: createMetrics().registry, witness, provider }
}

export const factsOf = (registry: Registry): MetricFacts[] =>
  registry.getMetricsAsArray().map(metric => {
    // The library's types leave out what every metric of it has.
    const { labelNames } = metric as typeof metric & { labelNames?: string[] }
    return { name: metric.name, type: String(metric.type), labels: labelNames ?? [], help: metric.help }
  })

/** The page, with its tables made anew. */
export async function metricsPage(): Promise<string> {
  const page = await readFile(METRICS_PAGE, 'utf8')
  const [head = ''] = page.split(BEGIN)
  const tables = Object.entries(registries()).flatMap(([name, registry]) => [
    '',
    `## ${name[0]?.toUpperCase()}${name.slice(1)}`,
    '',
    '| metric | type | labels | what |',
    '| --- | --- | --- | --- |',
    ...factsOf(registry).map(
      ({ name: metric, type, labels, help }) => `| \`${metric}\` | ${type} | ${labels.join(', ')} | ${help} |`
    )
  ])
  return `${head}${BEGIN}${tables.join('\n')}\n`
}

if (process.argv[1] === new URL(import.meta.url).pathname) await writeFile(METRICS_PAGE, await metricsPage())
