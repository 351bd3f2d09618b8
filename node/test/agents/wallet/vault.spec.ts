import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openVault, type Vault } from '@pekka/node/agents/wallet'
import { createSigner, random } from '@pekka/node/host/crypto'
import { fromHex, toHex, type Signer } from '@pekka/node/protocol'

const network = new Uint8Array(32).fill(1)
const account = new Uint8Array(32).fill(2)
const name = (signer: Signer | null): string => (signer === null ? 'none' : toHex(signer.publicKey))

describe('the wallet’s file', () => {
  let home: string
  let vault: Vault
  const again = (): Promise<Vault> => openVault(home, random)

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-vault-'))
    vault = await again()
  })
  afterEach(() => rm(home, { recursive: true, force: true }))

  it('makes one next key, however many rotations begin at once: the one that is told is the one on the disk', async () => {
    const [one, other] = await Promise.all([vault.makeNext(random, network), vault.makeNext(random, network)])
    assert.equal(name(one), name(other))
    assert.equal(name((await again()).nextOn(network)), name(one))
  })

  it('loses neither of two changes at once', async () => {
    const [, next] = await Promise.all([vault.use(network, account), vault.makeNext(random, network)])
    const reopened = await again()
    assert.equal(name(reopened.nextOn(network)), name(next))
    assert.deepEqual(reopened.accountOn(network), account)
  })

  it('takes a next key on the network that it was made for alone: a bridge can make up any other', async () => {
    const before = name(vault.owner)
    const next = await vault.makeNext(random, network)
    const other = new Uint8Array(32).fill(3)
    assert.equal(vault.nextOn(other), null)
    await vault.takeNext(other, next)
    assert.equal(name(vault.owner), before)
    assert.equal(name((await again()).nextOn(network)), name(next))
    // A rotation elsewhere gives this one up, and its key stays in the file.
    const elsewhere = await vault.makeNext(random, other)
    assert.notEqual(name(elsewhere), name(next))
    assert.equal((await again()).nextOn(network), null)
    const { former } = JSON.parse(await readFile(join(home, 'wallet', 'wallet.json'), 'utf8')) as { former: string[] }
    assert.deepEqual(
      former.map(seed => name(createSigner(fromHex(seed)))),
      [name(next)]
    )
  })

  it('remembers in a file of its own how far it has seen each network, and never goes back', async () => {
    const other = new Uint8Array(32).fill(3)
    const keys = await readFile(join(home, 'wallet', 'wallet.json'), 'utf8')
    await Promise.all([vault.seen.note(network, 7), vault.seen.note(other, 0), vault.seen.note(network, 5)])
    const { seen } = await again()
    assert.deepEqual(
      [network, other, account].map(one => seen.of(one)),
      [7, 0, -1]
    )
    assert.equal(await readFile(join(home, 'wallet', 'wallet.json'), 'utf8'), keys)
    await vault.seen.forget(network)
    const { seen: after } = await again()
    assert.deepEqual([after.of(network), after.of(other)], [-1, 0])
    await writeFile(join(home, 'wallet', 'seen.json'), '{"v":2}')
    await assert.rejects(again(), TypeError)
  })

  it('takes a next key once, and not another one than was meant', async () => {
    const next = await vault.makeNext(random, network)
    await Promise.all([vault.takeNext(network, next), vault.takeNext(network, next)])
    assert.deepEqual([name(vault.owner), vault.nextOn(network)], [name(next), null])
    const later = await vault.makeNext(random, network)
    await vault.takeNext(network, next)
    assert.deepEqual([name(vault.owner), name(vault.nextOn(network))], [name(next), name(later)])
    assert.equal(name((await again()).nextOn(network)), name(later))
  })
})
