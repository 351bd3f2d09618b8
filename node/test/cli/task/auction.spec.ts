import assert from 'node:assert/strict'
import { CREDIT, isPekkaError } from '@pekka/node/protocol'
import { EXIT, exitCodeOf } from '../../../src/cli/exit-codes.js'
import { checkAuctionLock } from '../../../src/cli/task/auction.js'

describe('pekka run --auction', () => {
  it('refuses a cap whose lock no machine bids for, and says which lock that is', () => {
    checkAuctionLock(100n * CREDIT)
    assert.throws(
      () => checkAuctionLock(100n * CREDIT + 1n),
      error => isPekkaError(error) && error.code === 'USAGE' && error.message.includes('locks 200,')
    )
  })

  it('ends as a task does that no machine takes, where nobody bids', () => {
    assert.equal(exitCodeOf('AUCTION_NO_BID'), EXIT.noMachine)
    assert.equal(exitCodeOf('AUCTION_ENDED'), EXIT.noMachine)
  })
})
