import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '@pekka/node/setup/places'
import { Command } from 'commander'
import { COMMANDS } from '../../src/cli/commands.js'
import { createContext } from '../../src/cli/context.js'
import { EXIT } from '../../src/cli/exit-codes.js'

describe('pekka COMMAND --help', () => {
  const never = new AbortController().signal
  const context = createContext(process, { signal: never, hurry: never }, { json: false, quiet: false })

  const helps = (command: Command): string[] => [command.helpInformation(), ...command.commands.flatMap(helps)]

  for (const { name, load } of COMMANDS)
    it(`of ${name} names no first value that people can't read`, async () => {
      const program = new Command('pekka').enablePositionalOptions()
      ;(await load()).register(program, context)
      for (const help of helps(program)) assert.doesNotMatch(help, /default: (\[|\{|""|null|undefined)/)
    })

  it('is summed up in docs/command-line.md: every command and every exit code', async () => {
    const page = await readFile(join(ROOT, 'docs', 'command-line.md'), 'utf8')
    const known = COMMANDS.filter(({ hidden }) => hidden !== true).map(({ name }) => name)
    const named = [...page.matchAll(/^\| `pekka (\w+)/gm)].map(([, name = '']) => name)
    assert.deepEqual(named.sort(), known.sort())
    const codes = [...page.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code))
    assert.deepEqual(
      codes,
      Object.values(EXIT).sort((a, b) => a - b)
    )
  })

  it('of run takes a repeated option each time', async () => {
    const { collect } = await import('../../src/cli/task/options.js')
    const program = new Command('pekka').option('--with <package>', 'repeatable', collect)
    program.parse(['--with', 'a', '--with', 'b'], { from: 'user' })
    assert.deepEqual(program.opts(), { with: ['a', 'b'] })
  })
})
