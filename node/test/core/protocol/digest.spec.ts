import assert from 'node:assert/strict'
import { ResultDigester, decodeCbor, encodeCbor, resultRoot, taskEventSchema, type EventOf } from '@pekka/node/protocol'

describe('result digest', () => {
  const done: EventOf<'done'> = {
    type: 'done',
    outcome: 'ok',
    reason: 'completed',
    detail: {},
    exitCode: 0,
    usage: { wallMs: 1, cpuMs: 1, maxMemoryBytes: 0, outputBytes: 0 },
    t: 1
  }
  const root = (data: Record<string, unknown>, parsed: boolean): Uint8Array => {
    const event = { type: 'display_data', cell: 'a', data, metadata: {}, t: 0 }
    const digester = new ResultDigester()
    // What the provider has in its hands, or what a client gets from the wire.
    digester.add(parsed ? taskEventSchema.parse(decodeCbor(encodeCbor(event))) : (event as EventOf<'display_data'>))
    return resultRoot(digester.result(done))
  }

  it('names no file and no value: a receipt is shown to others', () => {
    const result = (name: string) => {
      const digester = new ResultDigester()
      const hash = new Uint8Array(32)
      digester.add(taskEventSchema.parse({ type: 'files', files: [{ name, size: 3, hash, parts: [] }], more: 0, t: 0 }))
      return digester.result(done)
    }
    assert.equal(result('patients.csv').files.length, 1)
    assert.ok(!Buffer.from(encodeCbor(result('patients.csv'))).includes('patients'))
    assert.notDeepEqual(resultRoot(result('patients.csv')), resultRoot(result('visits.csv')))
  })

  it('is the same on both sides of the wire, also for keys that objects cannot carry', () => {
    for (const data of [
      { 'text/plain': 'ü' },
      { 'application/json': { b: 1, a: [1.5, null, { c: true }] } },
      { 'application/json': JSON.parse('{"__proto__":{"polluted":1},"a":1}') as unknown },
      { 'application/json': JSON.parse('{"a":{"__proto__":null,"constructor":2}}') as unknown }
    ])
      assert.deepEqual(root(data, true), root(data, false), JSON.stringify(data))
  })
})
