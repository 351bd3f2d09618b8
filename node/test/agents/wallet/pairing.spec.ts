import assert from 'node:assert/strict'
import { CODE_LIFE_MS, PairingCodes } from '@pekka/node/agents/wallet'
import { pairProof, utf8, type PairRequest } from '@pekka/node/protocol'
import { random } from '@pekka/node/host/crypto'

const requestWith = (code: string): PairRequest => {
  const key = random.bytes(32)
  const exchange = random.bytes(32)
  return { v: 1, proof: pairProof(utf8(code), key, exchange), key, exchange, label: 'test' }
}

describe('pairing codes', () => {
  let now = 1_000_000
  const create = () => new PairingCodes({ random, clock: { now: () => now } })

  it('are good once', () => {
    const codes = create()
    const code = codes.create()
    assert.equal(codes.redeem(requestWith(code)), true)
    assert.equal(codes.redeem(requestWith(code)), false)
  })

  it('are good for 60 seconds', () => {
    const codes = create()
    const code = codes.create()
    now += CODE_LIFE_MS
    assert.equal(codes.redeem(requestWith(code)), false)
  })

  it('prove a code only together with the keys that will be granted', () => {
    const codes = create()
    const good = requestWith(codes.create())
    assert.equal(codes.redeem({ ...good, key: random.bytes(32) }), false)
    assert.equal(codes.redeem({ ...good, exchange: random.bytes(32) }), false)
    assert.equal(codes.redeem(good), true)
  })

  it('are all withdrawn after many wrong tries', () => {
    const codes = create()
    const code = codes.create()
    for (let i = 0; i < 50; i++) codes.redeem(requestWith('wrong'))
    assert.equal(codes.redeem(requestWith(code)), false)
  })
})
