/** One network for all suites of this folder. */
import { missing, startNetwork, type Network } from './network.js'

let starting: Promise<Network> | undefined

/** Starts the network at the first call. */
export async function network(context: Mocha.Context): Promise<Network> {
  const without = missing()
  if (without !== undefined) {
    console.log(`      left out: ${without}`)
    context.skip()
  }
  starting ??= startNetwork()
  return await starting
}

// A root hook: after the last suite.
after(async function () {
  this.timeout(60_000)
  await (await starting?.catch(() => undefined))?.stop()
})
