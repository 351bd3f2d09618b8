import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { isPekkaError } from '@pekka/node/protocol'
import { imageCommand, type ImageCommandContext } from '../../../src/cli/commands/image.js'
import { placeTree } from './fixtures.js'

describe('pekka image', () => {
  let home: string
  let lines: string[]
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-command-'))
    lines = []
  })
  afterEach(() => rm(home, { recursive: true }))

  const pekka = (args: string[], json = false, registered?: ImageCommandContext['registered']): Promise<Command> => {
    const out = (line: string) => void lines.push(line)
    const context = { home, uv: async () => 'uv', out, err: () => undefined, json, ...(registered && { registered }) }
    return new Command('pekka').addCommand(imageCommand(context)).parseAsync(['image', ...args], { from: 'user' })
  }

  it('lists what could be built and how', async () => {
    await pekka(['list'])
    assert.equal(lines[0], 'base                not here: pekka image build base')
    assert.ok(lines.includes('chemistry           not here: pekka image build chemistry'))
  })

  it('lists a tree of an older definition as such, and never one without its record', async () => {
    const digest = 'ab'.repeat(32)
    await placeTree(home, 'base', digest, '2026-01-02T03:04:05.000Z')
    await mkdir(join(home, 'images/base-cdcdcdcdcdcd/root'), { recursive: true })
    await pekka(['list'], true)
    const [line = ''] = lines
    const { built, missing } = JSON.parse(line)
    assert.deepEqual(
      built.map((tree: { digest: string; current: boolean }) => [tree.digest, tree.current]),
      [[digest, false]]
    )
    assert.ok(missing.includes('base') && missing.includes('chemistry'))
  })

  it('says of a tree of an older definition whether the next build removes it', async () => {
    await placeTree(home, 'base', 'aa'.repeat(32), '2026-01-01T00:00:00.000Z')
    await placeTree(home, 'base', 'bb'.repeat(32), '2026-01-02T00:00:00.000Z')
    await pekka(['list'])
    assert.match(lines[0] ?? '', /^base +bbbbbbbbbbbb .*older definition, kept/)
    assert.match(lines[1] ?? '', /^base +aaaaaaaaaaaa .*next build removes it/)
  })

  it('says what the network that runs here says of a tree, and what to do', async () => {
    await placeTree(home, 'base', 'aa'.repeat(32), '2026-01-01T00:00:00.000Z')
    await placeTree(home, 'base', 'bb'.repeat(32), '2026-01-02T00:00:00.000Z')
    await pekka(['list'], false, async images =>
      images.map(({ digest }) => (digest[0] === 0xaa ? { retired: 'A wheel was withdrawn.' } : 'listed'))
    )
    assert.match(lines[1] ?? '', /aaaaaaaaaaaa .*RETIRED by this network: A wheel was withdrawn\. .*pekka image build/)
    assert.doesNotMatch(lines[0] ?? '', /network/)
    lines = []
    await pekka(['list'], true, async images => images.map(() => 'unlisted'))
    const { built } = JSON.parse(lines[0] ?? '')
    assert.deepEqual(
      built.map((tree: { network: unknown }) => tree.network),
      ['unlisted', 'unlisted']
    )
  })

  it('refuses to verify what is not built, and a name nobody knows', async () => {
    const failsWith = (code: string) => (error: unknown) => isPekkaError(error) && error.code === code
    await assert.rejects(pekka(['verify', 'base-small']), failsWith('IMAGE_NOT_BUILT'))
    await assert.rejects(pekka(['build', 'nothing']), failsWith('IMAGE_UNKNOWN'))
  })
})
