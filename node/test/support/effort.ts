/**
 * How much of what a test could try it tries. `npm run test:full` sets PEKKA_TEST_FULL; every other run takes a share, so that CI ends
 * while its author still waits. What only the whole run proves has no place here: a share must prove each promise.
 */
export const FULL = Boolean(process.env['PEKKA_TEST_FULL'])

/** So many tries of something that chance may find; `full` of them in a whole run. */
export const tries = (share: number, full: number): number => (FULL ? full : share)

/** A test that shows once more, at another point of its range, what the one beside it shows. Only in a whole run. */
export const itInFull: (title: string, test: Mocha.AsyncFunc) => void = (title, test) => {
  if (FULL) it(title, test)
}
