import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { writeProofFile } from '@pekka/node/client'
import { toHex } from '@pekka/node/protocol'
import { registerVerify } from '../../src/cli/commands/ledger-verify.js'
import { HONEST, STOLEN, STRANGER, proofTo } from '../core/client/proof-ways.js'

describe('pekka ledger verify', () => {
  let folder = ''
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'pekka-verify-'))))
  after(() => rm(folder, { recursive: true }))

  /** Writes the file that `proofTo` makes. */
  async function file(...to: Parameters<typeof proofTo>): Promise<string> {
    const path = join(folder, `${to[0].length}-${to.slice(1).join('-')}.json`)
    await writeFile(path, writeProofFile(await proofTo(...to)))
    return path
  }

  /** What the command says, a line each. There is nothing here that it could ask over a network. */
  async function verify(...args: string[]): Promise<string[]> {
    const lines: string[] = []
    const program = new Command()
    const json = args.includes('--json')
    registerVerify(program, { json, result: what => void lines.push(String(what)) })
    await program.parseAsync(['verify', ...args], { from: 'user' })
    return lines
  }
  const refuses = async (issue: RegExp, ...args: string[]): Promise<void> => {
    const refused = await verify(...args).then(
      said => assert.fail(said.join()),
      (error: unknown) => error
    )
    assert.ok(refused instanceof Error && 'code' in refused)
    assert.deepEqual([refused.code, issue.test(refused.message)], ['PROOF_INVALID', true], refused.message)
  }

  it('says what holds and since when, on which network, with nothing but the file', async () => {
    const { network } = await proofTo(HONEST, 1, 120)
    const path = await file(HONEST, 1, 120)
    assert.deepEqual(await verify(path), [
      'Nothing but the checkpoint itself.',
      'So it was after commit 120, 1970-01-01T00:00:00.120Z, signed by the one witness of epoch 1.',
      `It holds on network ${toHex(network)}. Compare that with yours, or give it as --trust.`
    ])
    assert.match((await verify(path, '--trust', toHex(network))).join(), /network that you trust\.$/)
    await refuses(/another network/, path, '--trust', '00'.repeat(32))
  })

  it('beside a file from before demands that both tell of one ledger, and tells of an older one', async () => {
    const known = await file(HONEST, 1, 120)
    const beside = async (path: string): Promise<string[]> => (await verify(path, '--trust', known)).slice(2)
    const agrees = 'It holds on the network that you trust, and agrees with the file from before.'
    assert.deepEqual(await beside(await file(HONEST, 2, 230)), [agrees])
    assert.deepEqual(await beside(await file(HONEST, 1, 119)), [
      agrees,
      'It is older than the file that you trust: what it says may be over since.'
    ])
    const [json = ''] = await verify(await file(HONEST, 1, 119), '--trust', known, '--json')
    assert.equal((JSON.parse(json) as { age: string }).age, 'older')
    await refuses(/something else of commit 120/, await file(HONEST, 1, 120, 1), '--trust', known)
  })

  it('refuses one whose way was signed with keys of long ago, which holds by itself', async () => {
    const path = join(folder, 'stolen.json')
    await writeFile(path, writeProofFile(await proofTo(STOLEN, 2, 230)))
    assert.match((await verify(path)).join(), /It holds on network/)
    await refuses(/something else of commit 5|another committee/, path, '--trust', await file(HONEST, 1, 120))
  })

  it('believes no file to trust that doesn’t hold itself', async () => {
    const path = await file(HONEST, 1, 120)
    await refuses(/the file to trust: it names another committee/, path, '--trust', await file(STRANGER, 0, 7))
  })
})
