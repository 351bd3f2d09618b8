import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { printed } from '../../../node/test/support/sealed-run.js'
import { contentsUnder } from '../support/files.js'
import { World, cell, until } from '../support/world.js'

describe('what the bridge writes', function () {
  this.timeout(60_000)

  it('holds nothing of code, output, titles or tokens: not in files, tables, Redis or its own output', async () => {
    const world = await World.start({ process: true })
    try {
      const inCode = `secret-${randomBytes(12).toString('hex')}`
      const inOutput = `result-${randomBytes(12).toString('hex')}`
      const inTitle = `title-${randomBytes(12).toString('hex')}`
      const [provider] = world.providers
      assert.ok(provider)
      provider.work = (one, opened) => {
        // The control: whoever has the box reads it.
        assert.equal(opened.source, inCode)
        return one.runAndCommit(opened, [printed(inOutput)])
      }
      const client = world.client(await world.person())
      const request = cell(inCode)
      const task = await client.submit({ ...request, note: { ...request.note, title: inTitle } })
      let seen = ''
      const follower = await client.follow(task, { events: events => void (seen += JSON.stringify(events)) })
      await follower.ended
      assert.ok(seen.includes(inOutput), 'the client reads its output')
      await until('it is settled', async () => (await client.task(task)).view?.state === 'settled')
      const token = await client.tokens.get()
      const redis = await world.redis.dump()

      const written = [
        ...(await contentsUnder(join(world.folder, 'bridge'))),
        ...(await contentsUnder(world.redis.folder))
      ]
      assert.ok(written.length > 5)
      const everything = [...written, ['redis', redis], ['output', world.process.written]]
      for (const secret of [inCode, inOutput, inTitle, token])
        for (const [name, content] of everything) assert.ok(!content?.includes(secret), `${secret} stands in ${name}`)
    } finally {
      await world.stop()
    }
  })
})
