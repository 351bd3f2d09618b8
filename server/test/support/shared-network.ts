/** One network for all suites of a run that can share it: each costs ten seconds and more to bring up. */
import { TestNetwork, needNetwork } from '../../../node/test/support/network.js'
import { DataServer } from './data-server.js'

interface Shared {
  network: TestNetwork
  /** In the place of servers of data on the Internet; the bridge may ask it. */
  data: DataServer
}

let starting: Promise<Shared> | undefined

async function start(): Promise<Shared> {
  const data = await DataServer.start({ '/stars.csv': 'name,mass\nVega,2.1\nSirius,2.0\n' })
  try {
    // All that is ever written of a task: server/test/system/leak.system.ts looks it through.
    const env = { PEKKA_LOG_LEVEL: 'debug' }
    return { data, network: await TestNetwork.start({ bridge: { inputs: data.settings }, env }) }
  } catch (error) {
    await data.stop()
    throw error
  }
}

/**
 * Call it first in a suite's `before`; the first call starts the network, which ends after the last suite. Who kills parts of it, or
 * needs other settings, starts one alone.
 */
export async function sharedNetwork(context: Mocha.Context): Promise<Shared> {
  context.timeout(150_000)
  needNetwork(context)
  starting ??= start()
  return await starting
}

// A root hook: after the last suite.
after(async function () {
  this.timeout(60_000)
  const shared = await starting?.catch(() => undefined)
  await shared?.network.stop()
  await shared?.data.stop()
})
