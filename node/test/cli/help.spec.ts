import assert from 'node:assert/strict'
import { Command } from 'commander'
import { COMMANDS } from '../../src/cli/commands.js'
import { createContext } from '../../src/cli/context.js'

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

  it('of run takes a repeated option each time', async () => {
    const { collect } = await import('../../src/cli/task/options.js')
    const program = new Command('pekka').option('--with <package>', 'repeatable', collect)
    program.parse(['--with', 'a', '--with', 'b'], { from: 'user' })
    assert.deepEqual(program.opts(), { with: ['a', 'b'] })
  })
})
