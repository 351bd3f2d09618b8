import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { isPekkaError } from '@pekka/node/protocol'
import { imageCommand } from '../../../src/cli/commands/image.js'

describe('pekka image', () => {
  let home: string
  let lines: string[]
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-command-'))
    lines = []
  })
  afterEach(() => rm(home, { recursive: true }))

  const pekka = (args: string[], json = false): Promise<Command> => {
    const context = { home, uv: async () => 'uv', out: (line: string) => lines.push(line), err: () => undefined, json }
    return new Command('pekka').addCommand(imageCommand(context)).parseAsync(['image', ...args], { from: 'user' })
  }

  it('lists what could be built and how', async () => {
    await pekka(['list'])
    assert.deepEqual(lines, [
      'base         not here: pekka image build base',
      'base-small   not here: pekka image build base-small'
    ])
  })

  it('lists a tree of an older definition as such, and never one without its record', async () => {
    const digest = 'ab'.repeat(32)
    const record = {
      ...{
        format: 1,
        name: 'base',
        digest,
        contentDigest: digest,
        files: 1,
        bytes: 2_000_000,
        pythonVersion: '3.11.2'
      },
      ...{
        packages: [],
        debian: [],
        debianChanges: [],
        preload: [],
        environment: {},
        builtAt: '2026-01-02T03:04:05.000Z'
      }
    }
    await mkdir(join(home, 'images/base-abababababab/root'), { recursive: true })
    await writeFile(join(home, 'images/base-abababababab/image.json'), JSON.stringify(record))
    await mkdir(join(home, 'images/base-cdcdcdcdcdcd/root'), { recursive: true })
    await pekka(['list'], true)
    const [line = ''] = lines
    const { built, missing } = JSON.parse(line)
    assert.deepEqual(
      built.map((tree: { digest: string; current: boolean }) => [tree.digest, tree.current]),
      [[digest, false]]
    )
    assert.deepEqual(missing, ['base', 'base-small'])
  })

  it('refuses to verify what is not built, and a name nobody knows', async () => {
    const failsWith = (code: string) => (error: unknown) => isPekkaError(error) && error.code === code
    await assert.rejects(pekka(['verify', 'base-small']), failsWith('IMAGE_NOT_BUILT'))
    await assert.rejects(pekka(['build', 'nothing']), failsWith('IMAGE_UNKNOWN'))
  })
})
