import { TestNetwork, needNetwork, preparedHome } from '../../../node/test/support/network.js'
import { fieldImages, runExample } from './notebooks.js'

/** Two of the fields; `npm run test:images` runs all. */
describe('the examples of the fields', function () {
  // builds an image, where it isn't there
  this.timeout(600_000)
  let network: TestNetwork

  before(async function () {
    needNetwork(this)
    const { store, folder } = await fieldImages(preparedHome() ?? '')
    await store.build('base')
    await store.build('chemistry')
    network = await TestNetwork.start({ images: folder })
  })
  after(() => network?.stop())

  for (const field of ['base', 'chemistry'] as const) {
    it(`${field}: ends in a table, a picture and a number`, async () => {
      await runExample(network, field)
    })
  }
})
