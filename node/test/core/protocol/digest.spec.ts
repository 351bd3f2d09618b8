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
