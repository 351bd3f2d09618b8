import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MAIN } from '@pekka/node/setup/places'
import { lastingPort } from '../../support/ports.js'
import { Command, type Ended } from '../../support/network.js'

/** Two people, each with a home of their own on this computer, keep one ledger. */
describe('pekka witness', function () {
  this.timeout(400_000)
  let folder = ''
  const running: Command[] = []
  const at = (file: string): string => join(folder, file)

  before(async function () {
    if (!existsSync(MAIN)) {
      if (process.env.CI !== undefined) throw new Error('nothing is built: run the tests by "npm test"')
      this.skip()
    }
    folder = await mkdtemp(join(tmpdir(), 'pekka-people-'))
  })
  after(async () => {
    for (const command of running) command.kill('SIGKILL')
    await Promise.all(running.map(({ ended }) => ended))
    await rm(folder, { recursive: true, force: true })
  })

  const start = (home: string, ...args: string[]): Command => {
    const env = { ...process.env, PEKKA_HOME: at(home) }
    const command = new Command(spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] }))
    running.push(command)
    return command
  }
  const run = async (home: string, ...args: string[]): Promise<Ended> => await start(home, ...args).ended
  const address = async (record: string): Promise<string> =>
    JSON.parse(await readFile(at(record), 'utf8')).addresses[0] ?? assert.fail('no address')

  it('lets two of them make a genesis from their records and start the ledger; both end in order', async () => {
    const [one, two] = [`127.0.0.1:${await lastingPort()}`, `127.0.0.1:${await lastingPort()}`]
    const made = await run('a', 'witness', 'init', '--listen', one, '--out', at('a.json'))
    assert.equal(made.code, 0, made.stderr)
    const like = await run('b', 'witness', 'init', '--like', at('a.json'), '--listen', two, '--out', at('b.json'))
    assert.equal(like.code, 0, like.stderr)
    const genesis = [
      'witness',
      'genesis',
      at('a.json'),
      at('b.json'),
      '--faucet',
      '1000',
      '--out',
      at('ours.cbor'),
      '--json'
    ]
    const told = await run('a', ...genesis)
    assert.equal(told.code, 0, told.stderr)
    const { network } = JSON.parse(told.stdout)

    const first = start(
      'a',
      'witness',
      'start',
      '--genesis',
      at('ours.cbor'),
      '--join',
      await address('b.json'),
      '--json'
    )
    const second = start(
      'b',
      'witness',
      'start',
      '--genesis',
      at('ours.cbor'),
      '--join',
      await address('a.json'),
      '--json'
    )
    await Promise.all([first, second].map(command => command.printed('"ready":true')))
    const ready = JSON.parse(first.stdout)
    assert.equal(ready.network, network)
    assert.equal(ready.seat, true)

    // What can be wrong is said before anything runs.
    const taken = await run('a', 'witness', 'start')
    assert.equal(taken.code, 78)
    assert.match(taken.stderr, /Port \d+ is taken.*--listen/s)
    await run('a', 'witness', 'genesis', at('a.json'), '--out', at('other.cbor'))
    const other = await run('b', 'witness', 'start', '--genesis', at('other.cbor'))
    assert.equal(other.code, 64)
    assert.match(other.stderr, /one of network .*--folder/)

    for (const command of [first, second]) command.kill('SIGTERM')
    for (const command of [first, second]) assert.equal((await command.ended).code, 0, command.stderr)
  })
})
