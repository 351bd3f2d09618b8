/** One network for all suites of this folder. */
import { LabPage } from './lab-page.js'
import { missing, startNetwork, type Network } from './network.js'

let starting: Promise<Network> | undefined

/** Starts the network at the first call. */
async function network(context: Mocha.Context): Promise<Network> {
  const without = missing()
  if (without !== undefined) {
    console.log(`      left out: ${without}`)
    context.skip()
  }
  starting ??= startNetwork()
  return await starting
}

/** What a suite of this folder begins with; call it first in its `describe`. A page is closed after its test. */
export function labSuite(): LabSuite {
  const suite = new LabSuite()
  before(async function () {
    this.timeout(180_000)
    suite.started = await network(this)
  })
  afterEach(() => suite.close())
  return suite
}

class LabSuite {
  started: Network | undefined
  #page: LabPage | undefined

  get net(): Network {
    if (this.started === undefined) throw new Error('the network has not been started')
    return this.started
  }

  /** The page that the test has opened, or works on now. */
  get page(): LabPage {
    if (this.#page === undefined) throw new Error('the test has opened no page')
    return this.#page
  }

  set page(page: LabPage) {
    this.#page = page
  }

  /** Opens a notebook with these cells. */
  async open(sources: string[], options?: Parameters<typeof LabPage.open>[2]): Promise<LabPage> {
    await this.close()
    this.#page = await LabPage.open(this.net, sources, options)
    return this.#page
  }

  /** Fails where the page logged errors. */
  async close(): Promise<void> {
    const open = this.#page
    this.#page = undefined
    await open?.close()
  }
}

// A root hook: after the last suite.
after(async function () {
  this.timeout(60_000)
  await (await starting?.catch(() => undefined))?.stop()
})
