import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openVault } from '@pekka/node/agents/wallet'
import { random } from '@pekka/node/host/crypto'
import { fromHex } from '@pekka/node/protocol'
import { openDevnet } from '../../../src/cli/house/state/devnet.js'
import { housePlaces, type HousePlaces } from '../../../src/cli/house/state/places.js'

describe('a practice network and whose it is', () => {
  let home: string
  let places: HousePlaces
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-devnet-'))
    places = housePlaces(home, {})
  })
  afterEach(() => rm(home, { recursive: true, force: true }))

  it('starts again once its wallet acts for an account that came into being later', async () => {
    const { network } = await openDevnet(places)
    const vault = await openVault(home, random)
    await vault.use(fromHex(network), new Uint8Array(32).fill(7))
    assert.equal((await openDevnet(places)).network, network)
  })

  it('is refused to a wallet that it has nothing for, though that knows another network', async () => {
    await openDevnet(places)
    await rm(join(home, 'wallet'), { recursive: true })
    const other = await openVault(home, random)
    await other.use(new Uint8Array(32).fill(1), new Uint8Array(32).fill(7))
    await assert.rejects(openDevnet(places), /belongs to another wallet/)
  })
})
