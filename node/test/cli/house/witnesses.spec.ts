import assert from 'node:assert/strict'
import { access, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decodeCanonical, equalBytes, genesisSchema, type Genesis } from '@pekka/node/protocol'
import { brokenInvariants, genesisState } from '@pekka/node/ledger'
import { readSigner } from '@pekka/node/host/crypto'
import { openDevnet, type Devnet } from '../../../src/cli/house/state/devnet.js'
import { housePlaces, type HousePlaces } from '../../../src/cli/house/state/places.js'
import { witnessChildren } from '../../../src/cli/house/processes/witnesses.js'

describe('the witnesses of an embedded network', function () {
  this.timeout(60_000)
  let home = ''
  let places: HousePlaces
  let devnet: Devnet

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-witnesses-'))
    places = housePlaces(home, {})
    await mkdir(places.devnet, { recursive: true })
    devnet = await openDevnet(places, { witnesses: 4 })
  })
  after(() => rm(home, { recursive: true, force: true }))

  const genesis = async (): Promise<Genesis> =>
    genesisSchema.parse(decodeCanonical(new Uint8Array(await readFile(devnet.genesis))))

  /** Settings that the processes would be started with. */
  const settings = async (before?: { addresses: string[] }): Promise<Record<string, unknown>[]> => {
    const specs = await witnessChildren(places, devnet, {}, before)
    const all: Record<string, unknown>[] = []
    for (const spec of specs) {
      const { args } = await spec.command()
      all.push(JSON.parse(await readFile(args.at(-1) ?? '', 'utf8')))
    }
    return all
  }

  it('are a committee in its genesis, each with keys, a stake and a file for its last proposal', async () => {
    const { witnesses, agreement, ...rest } = await genesis()
    assert.equal(witnesses.length, 4)
    assert.equal(agreement?.members.length, 4)
    assert.deepEqual(brokenInvariants(genesisState({ witnesses, agreement, ...rest })), [])
    for (const [i, { blockKey, member }] of devnet.witnesses.entries()) {
      const { publicKey } = await readSigner(blockKey)
      assert.ok(equalBytes(publicKey, witnesses[i]?.key ?? assert.fail()))
      await access(member?.lastProposed ?? assert.fail())
    }
  })

  it('are as many as at the first start; another number is refused, and nothing is made anew', async () => {
    const before = await readFile(devnet.genesis)
    assert.equal((await openDevnet(places)).witnesses.length, 4)
    assert.equal((await openDevnet(places, { witnesses: 4 })).witnesses.length, 4)
    await assert.rejects(openDevnet(places, { witnesses: 1 }), { code: 'USAGE' })
    assert.deepEqual(await readFile(devnet.genesis), before)
  })

  it('know each other’s addresses before any of them runs, and keep them', async () => {
    const first = await settings()
    const [{ peers } = {}] = first
    assert.ok(Array.isArray(peers) && peers.length === 4)
    for (const [i, one] of first.entries()) {
      assert.deepEqual(one['peers'], peers)
      const [listen]: unknown[] = Array.isArray(one['listen']) ? one['listen'] : []
      assert.equal(typeof listen === 'string' && String(peers[i]).startsWith(`${listen}/p2p/`), true)
    }
    assert.equal(new Set(first.map(({ listen }) => String(listen))).size, 4)
    assert.deepEqual(await settings({ addresses: peers.map(String) }), first)
  })
})
