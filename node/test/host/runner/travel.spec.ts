import assert from 'node:assert/strict'
import { RecordDecoder, encodePuts, parseParts, type Put, type RawRecord } from '@pekka/node/host/runner'
import { isPekkaError } from '@pekka/node/protocol'

const value = (name: string, bytes: number): Put => ({
  ...{ kind: 'value', name, codec: 'json', type: 'list', python: null, pieces: [new Uint8Array(bytes)] }
})

/** What is sent, a line a record: the names of small values that share one, the name of any other. */
async function sent(puts: Put[], runner: string): Promise<string[]> {
  const decoder = new RecordDecoder()
  const lines: string[] = []
  for await (const record of encodePuts(puts, runner))
    for (const { header, payload } of decoder.push(record)) {
      const { kind, name, path, values, last } = header
      if (kind !== 'values') {
        if (last === true) lines.push(`${String(kind)} ${String(name ?? path)}`)
        continue
      }
      const packed = values as { name: string; size: number }[] // what is looked at here
      assert.equal(
        packed.reduce((sum, { size }) => sum + size, 0),
        payload.length
      )
      lines.push(packed.map(one => one.name).join(' '))
    }
  return lines
}

describe('runner: what travels', () => {
  it('small values share a record, up to its bytes and number, in the order of all', async () => {
    const file: Put = { kind: 'file', path: 'f', executable: false, pieces: [new Uint8Array(1)] }
    const puts = [file, value('a', 9), value('b', 0), value('large', 33 << 10), value('c', 1), file, value('d', 1)]
    assert.deepEqual(await sent(puts, '2'), ['file f', 'a b', 'value large', 'c', 'file f', 'd'])
    // One of before has never heard of it.
    assert.deepEqual(await sent(puts, '1'), [
      'file f',
      ...['a', 'b', 'large', 'c'].map(name => `value ${name}`),
      'file f',
      'value d'
    ])
    const many = await sent(
      Array.from({ length: 1001 }, (_, index) => value(`v${index}`, 1)),
      '2'
    )
    assert.deepEqual(
      many.map(line => line.split(' ').length),
      [500, 500, 1]
    )
    const wide = await sent(
      Array.from({ length: 40 }, (_, index) => value(`v${index}`, 30 << 10)),
      '2'
    )
    assert.deepEqual(
      wide.map(line => line.split(' ').length),
      [34, 6]
    )
  })

  it('what comes back together is cut where the runner says, and refused where that isn’t what there is', () => {
    const payload = new Uint8Array([1, 2, 3])
    const parts = (header: object): ReturnType<typeof parseParts> =>
      parseParts({ header: { type: 'part', of: 'values', ...header }, payload } as RawRecord)
    assert.deepEqual(
      parts({
        packed: [
          [4, 1],
          [2, 0],
          [7, 2]
        ]
      }).map(({ index, bytes }) => [index, [...bytes]]),
      [
        [4, [1]],
        [2, []],
        [7, [2, 3]]
      ]
    )
    assert.deepEqual(parts({ index: 1 }), [{ of: 'values', index: 1, bytes: payload }])
    const lies: object[] = [
      { packed: [[0, 4]] },
      { packed: [[0, 2]] },
      { packed: [] },
      {
        packed: [
          [0, 4],
          [1, -1]
        ]
      },
      { packed: [[0, 3.5]] },
      { packed: [[-1, 3]] },
      { packed: [['__proto__', 3]] },
      { packed: [3] },
      { packed: { length: 1 } },
      { packed: [[0, 3], ...Array.from({ length: 500 }, (_, index) => [index + 1, 0])] },
      { of: 'other', packed: [[0, 3]] },
      { index: -1 },
      {}
    ]
    for (const lie of lies)
      assert.throws(
        () => parts(lie),
        error => isPekkaError(error) && error.code === 'RUNNER_PROTOCOL',
        JSON.stringify(lie)
      )
  })
})
