import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openVault, type Vault } from '@pekka/node/agents/wallet'
import { random } from '@pekka/node/host/crypto'
import { toHex, type Signer } from '@pekka/node/protocol'

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
    const [one, other] = await Promise.all([vault.makeNext(random), vault.makeNext(random)])
    assert.equal(name(one), name(other))
    assert.equal(name((await again()).next), name(one))
  })

  it('loses neither of two changes at once', async () => {
    const [, next] = await Promise.all([vault.use(network, account), vault.makeNext(random)])
    const reopened = await again()
    assert.equal(name(reopened.next), name(next))
    assert.deepEqual(reopened.accountOn(network), account)
  })

  it('takes a next key once, and not another one than was meant', async () => {
    const next = await vault.makeNext(random)
    await Promise.all([vault.takeNext(network, next), vault.takeNext(network, next)])
    assert.deepEqual([name(vault.owner), vault.next], [name(next), null])
    const later = await vault.makeNext(random)
    await vault.takeNext(network, next)
    assert.deepEqual([name(vault.owner), name(vault.next)], [name(next), name(later)])
    assert.equal(name((await again()).next), name(later))
  })
})
