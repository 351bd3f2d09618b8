/** After the last test a suite has these, ms, to end by itself. What still runs then was left behind by a test. */
const LINGER_MS = 20_000

/** So many of a run's files are listed with what they took, hooks included. */
const SLOWEST = 15

/** mocha's usual output, and the run's counts as JSON in the file that PEKKA_TEST_COUNTS names. */
const { writeFileSync } = require('node:fs')
const { relative } = require('node:path')
const { Spec } = require('mocha').reporters

module.exports = class CountReporter extends Spec {
  constructor(runner, options) {
    super(runner, options)
    const skipped = []
    const failures = []
    // Said where it happens, so that what needs a second try is seen and mended, not hidden.
    runner.on('retry', (test, error) =>
      console.log(`    TRIED AGAIN: ${test.fullTitle()}\n      ${error?.stack ?? error}`)
    )
    // A failing hook reports itself under its own title.
    runner.on('fail', (test, error) =>
      failures.push({ title: test.fullTitle(), file: test.file, error: String(error?.stack ?? error) })
    )
    runner.on('pending', test => skipped.push(test.fullTitle()))
    // What waits in hooks shows in no test's time: a suite's own time does show it.
    const took = new Map()
    let began = Date.now()
    const loading = began - process.uptime() * 1000
    const timed = suite => suite.parent?.root && suite.file !== undefined
    runner.once('start', () => {
      took.set('(loading)', Date.now() - loading)
      began = Date.now()
    })
    runner.on('suite', suite => timed(suite) && (began = Date.now()))
    runner.on('suite end', suite => {
      if (timed(suite)) took.set(suite.file, (took.get(suite.file) ?? 0) + Date.now() - began)
    })
    runner.once('end', () => {
      const slowest = [...took].sort(([, one], [, other]) => other - one).slice(0, SLOWEST)
      console.log(`  Where the time went, hooks included:`)
      for (const [file, ms] of slowest)
        console.log(`    ${(ms / 1000).toFixed(1).padStart(6)} s  ${file.startsWith('/') ? relative('.', file) : file}`)
      console.log('')
    })
    const write = () => {
      const { passes, pending } = runner.stats
      const counts = { passed: passes, failed: failures.length, pending, skipped, failures }
      if (process.env.PEKKA_TEST_COUNTS) writeFileSync(process.env.PEKKA_TEST_COUNTS, JSON.stringify(counts))
    }
    runner.once('end', () => {
      write()
      setTimeout(() => {
        const open = process.getActiveResourcesInfo().join(', ')
        failures.push({ title: 'ends by itself', error: `still open after the last test: ${open}` })
        console.log(`\n  Still open after the last test: ${open}`)
        write()
        process.exit(1)
      }, LINGER_MS).unref()
    })
  }
}
