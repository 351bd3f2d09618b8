import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { METRICS_PAGE, factsOf, metricsPage, registries } from '../../scripts/docs/metrics.js'

describe('metrics', () => {
  it('are what docs/metrics.md shows (npm run docs:metrics)', async () => {
    assert.equal(await readFile(METRICS_PAGE, 'utf8'), await metricsPage())
  })

  it('are named as Prometheus has it: by process, in base units, counters in total', () => {
    for (const [process, registry] of Object.entries(registries())) {
      const facts = factsOf(registry)
      assert.ok(facts.length > 0)
      for (const { name, type, labels, help } of facts) {
        assert.match(name, new RegExp(`^pekka_${process}_[a-z]+(_[a-z]+)*$`))
        assert.equal(name.endsWith('_total'), type === 'counter', name)
        if (type === 'histogram') assert.match(name, /_(seconds|bytes)$/)
        assert.doesNotMatch(name, /_(ms|milliseconds|kb|mb|percent|count|sum|bucket)$/)
        assert.ok(help.length > 0, name)
        for (const label of labels) assert.doesNotMatch(label, /account|task|key|peer|provider|id$/, name)
      }
    }
  })
})
