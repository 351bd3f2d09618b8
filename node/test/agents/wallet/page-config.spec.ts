import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { PageConfig, PairingCodes } from '@pekka/node/agents/wallet'
import { pairProof, utf8, type PairRequest } from '@pekka/node/protocol'
import { random, systemClock } from '@pekka/node/host/crypto'

const requestWith = (code: string): PairRequest => {
  const key = random.bytes(32)
  const exchange = random.bytes(32)
  return { v: 1, proof: pairProof(utf8(code), key, exchange), key, exchange, label: 'test' }
}

describe('pairing codes in the page config', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-page-'))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('replaces a code that a page has used at once, for the next browser', async () => {
    const path = join(folder, 'labconfig', 'page_config.json')
    const shown = async (): Promise<string> => JSON.parse(JSON.parse(await readFile(path, 'utf8')).pekka).code
    const codes = new PairingCodes({ random, clock: systemClock })
    const page = new PageConfig({ codes }, { path, facts: () => ({ wallet: 'http://w', bridge: 'http://b' }) })
    await page.start()
    try {
      const first = await shown()
      assert.equal(codes.redeem(requestWith(first)), true)
      let next = first
      for (let tries = 0; tries < 100 && next === first; tries++) {
        await pause(10)
        next = await shown()
      }
      assert.notEqual(next, first)
      assert.equal(codes.redeem(requestWith(next)), true)
    } finally {
      await page.stop()
    }
  })
})
