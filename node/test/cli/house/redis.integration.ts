import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bundledValkey } from '@pekka/node/setup/python'
import { find } from '@pekka/node/setup/search'
import { Child } from '../../../src/cli/house/processes/child.js'
import { redisChild } from '../../../src/cli/house/processes/redis.js'
import { folderOf, housePlaces } from '../../../src/cli/house/state/places.js'

const forever = new AbortController().signal
const quiet = { ready: () => undefined, died: () => undefined, changed: () => undefined }

/** What Redis 6, as distributions still have it, understands; it ends at any other. */
const BEFORE_7 = new Set(
  [
    'port',
    'unixsocket',
    'unixsocketperm',
    'dir',
    'appendonly',
    'appendfsync',
    'save',
    'maxmemory-policy',
    'daemonize'
  ].map(name => `--${name}`)
)

describe('the Redis of a house', function () {
  this.timeout(30_000)

  it('starts also where another server, or another version, has served before: none can read the other’s files', async function () {
    const valkey = await bundledValkey(join(process.env.PEKKA_TEST_HOME ?? '', 'python'))
    const redis = find('redis-server')
    if (valkey === undefined || redis === undefined) {
      if (process.env.CI) throw new Error('needs redis-server, and PEKKA_TEST_HOME with its Valkey')
      this.skip()
    }
    const home = await mkdtemp(join(tmpdir(), 'pekka-redis-'))
    const places = housePlaces(home, {})
    const written: string[][] = []
    try {
      for (const program of [valkey, redis, valkey]) {
        const spec = redisChild(program, join(home, 'socket'), places, process.env)
        const { args } = await spec.command()
        assert.ok(
          args.every(argument => BEFORE_7.has(argument) || !argument.startsWith('--')),
          args.join(' ')
        )
        const child = new Child(spec, quiet)
        await child.start(forever)
        written.push(await readdir(folderOf(places, 'valkey')))
        await child.stop(forever)
      }
    } finally {
      await rm(home, { recursive: true, force: true })
    }
    const [first, second, third] = written
    assert.match(String(first), /^valkey-\d+\.\d+$/)
    assert.match(String(second), /^redis-\d+\.\d+$/, 'what cannot be read goes')
    assert.deepEqual(third, first)
  })
})
