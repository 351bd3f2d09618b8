import { acceptHostile } from './hostile-values.js'
import { needPackages } from './sandboxed-runner.js'

describe('hostile values', function () {
  this.timeout(1_200_000)
  before(function () {
    needPackages(this, ['numpy', 'pandas', 'pyarrow', 'PIL'])
  })

  it('240 mutated npy, Arrow, PNG and JSON files each end as a value or a sentence', async () => {
    await acceptHostile(240)
  })
})
