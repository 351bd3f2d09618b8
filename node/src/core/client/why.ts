import { MEMORY_STEPS_BYTES, hasGpu } from '../protocol/index.js'
import { match, type Mismatch, type Requirements, type VerifiedAsk } from './market.js'

/** Why machines don't serve, one reason a row (UX §4, "None match"). */
export interface WhyRow {
  why: Mismatch
  /** Machines that fail in this, whatever else they lack. */
  count: number
  /** The smallest change of this one thing that makes machines match; null where none does. */
  change: { need: Requirements; matches: number } | null
}

/** All machines of the bridge, and what keeps them from serving. A machine may stand in several rows. */
export function whyNot(asks: VerifiedAsk[], need: Requirements): { machines: number; rows: WhyRow[] } {
  const rows: WhyRow[] = []
  const fails = (loose: Requirements): number => match(asks, loose).misfit.length
  const add = (why: Mismatch, count: number, needs: Requirements[]): void => {
    if (count === 0) return
    const changed = needs.map(changedNeed => ({ need: changedNeed, matches: asks.length - fails(changedNeed) }))
    rows.push({ why, count, change: changed.find(({ matches }) => matches > 0) ?? null })
  }
  const { memoryBytes, milliCpus, diskBytes } = need.resources
  const having = (test: (ask: VerifiedAsk) => boolean): number => asks.filter(ask => !test(ask)).length
  const resources = (part: Partial<Requirements['resources']>): Requirements => ({
    ...need,
    resources: { ...need.resources, ...part }
  })
  const images = [...new Set(asks.map(({ ask }) => ask.image.name))].sort()
  add(
    'image',
    having(({ ask }) => ask.image.name === need.image),
    images.filter(name => name !== need.image).map(image => ({ ...need, image }))
  )
  add(
    'memory',
    having(({ ask }) => ask.resources.memoryBytes >= memoryBytes),
    MEMORY_STEPS_BYTES.filter(step => step < memoryBytes)
      .reverse()
      .map(step => resources({ memoryBytes: step }))
  )
  add(
    'cpus',
    having(({ ask }) => ask.resources.milliCpus >= milliCpus),
    descending(asks, ({ ask }) => ask.resources.milliCpus).map(found => resources({ milliCpus: found }))
  )
  add(
    'disk',
    having(({ ask }) => ask.resources.diskBytes >= diskBytes),
    descending(asks, ({ ask }) => ask.resources.diskBytes).map(found => resources({ diskBytes: found }))
  )
  const { gpu } = need.resources
  if (gpu !== null)
    add(
      'gpu',
      having(({ ask }) => hasGpu(gpu, ask.resources.gpu)),
      [resources({ gpu: null })]
    )
  const { maxPrice } = need
  if (maxPrice !== null) {
    const prices = [...new Set(asks.map(({ ask }) => ask.pricePerSecond))].filter(price => price > maxPrice)
    prices.sort((a, b) => (a < b ? -1 : 1))
    add(
      'price',
      having(({ ask }) => ask.pricePerSecond <= maxPrice),
      prices.map(price => ({ ...need, maxPrice: price }))
    )
  }
  add('busy', asks.filter(({ running, ask }) => running >= ask.concurrency).length, [])
  return { machines: asks.length, rows }
}

const descending = (asks: VerifiedAsk[], value: (ask: VerifiedAsk) => number): number[] =>
  [...new Set(asks.map(value))].sort((a, b) => b - a)
