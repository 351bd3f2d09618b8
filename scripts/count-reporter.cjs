/** mocha's usual output, and the run's counts as JSON in the file that PEKKA_TEST_COUNTS names. */
const { writeFileSync } = require('node:fs')
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
    runner.once('end', () => {
      const { passes, pending } = runner.stats
      writeFileSync(
        process.env.PEKKA_TEST_COUNTS,
        JSON.stringify({ passed: passes, failed: runner.stats.failures, pending, skipped, failures })
      )
    })
  }
}
