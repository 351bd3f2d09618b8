import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { placesIn } from '@pekka/node/setup/places'
import type { CliContext } from '../../../src/cli/context.js'
import { register } from '../../../src/cli/house/commands/reset.js'

const PARTS = ['devnet', 'images', 'jupyter', 'logs', 'python', 'receipts', 'tools', 'wallet', 'work']

describe('pekka reset', () => {
  let home: string
  const said: string[] = []

  beforeEach(async () => {
    said.length = 0
    home = await mkdtemp(join(tmpdir(), 'pekka reset ä-'))
    for (const part of PARTS) {
      await mkdir(join(home, part))
      await writeFile(join(home, part, 'file'), part)
    }
  })
  afterEach(() => rm(home, { recursive: true }))

  const reset = async (...args: string[]): Promise<string[]> => {
    const never = new AbortController().signal
    const streams = { stdout: process.stdout, stderr: process.stderr }
    const words = { say: (line: string) => void said.push(line), result: () => undefined, json: false, quiet: false }
    const context: CliContext = {
      home,
      places: placesIn(home),
      env: {},
      signal: never,
      hurry: never,
      ...streams,
      ...words
    }
    const program = new Command().exitOverride()
    register(program, context)
    await program.parseAsync(['node', 'pekka', 'reset', ...args])
    return (await readdir(home)).sort()
  }

  it('starts over with the network and keeps wallet, files and what was downloaded', async () => {
    assert.deepEqual(await reset('--yes'), ['images', 'python', 'tools', 'wallet', 'work'])
    assert.match(said.join('\n'), /The wallet and your files in .*work stay/)
  })

  it('--all forgets the wallet too, never the files', async () => {
    assert.deepEqual(await reset('--all', '--yes'), ['images', 'python', 'tools', 'work'])
    assert.match(said.join('\n'), /^Deleted\. Your files in .*work stay/)
  })

  it('deletes nothing where nobody can be asked', async function () {
    if (process.stdin.isTTY) this.skip()
    await assert.rejects(reset('--all'), /Say --yes/)
    assert.deepEqual((await readdir(home)).sort(), PARTS)
  })
})
