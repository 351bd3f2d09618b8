import assert from 'node:assert/strict'
import { MAX_INPUTS } from '@pekka/node/protocol'
import { addressWords } from '../../src/quote/view.js'
import { addressRows, fetchAddresses, isFetched } from '../../src/run/addresses.js'

const STARS = 'https://data.example.org/x/stars.csv?v=1'
const rowsOf = (...urls: string[]) =>
  addressRows(
    urls.map((url, index) => ({ url, cell: 'c', line: index + 1 })),
    () => 4,
    false
  )
const NOTHING = new Map<string, boolean>()

describe('run: addresses that cells read', () => {
  it('says file, server and place, and the cell where there are several', () => {
    const [row] = rowsOf(STARS)
    assert.deepEqual([row?.name, row?.host, row?.where], ['stars.csv', 'data.example.org', 'line 1'])
    const [other] = addressRows([{ url: STARS, cell: 'c', line: 2 }], () => 4, true)
    assert.equal(other?.where, 'cell 4, line 2')
  })

  it('leaves out what looks like a secret until it is ticked', () => {
    for (const url of [
      'https://a.example/x?token=1',
      'https://a.example/x?a=1&X-Amz-Signature=ff',
      'https://a.example/x?key=1'
    ]) {
      const [row] = rowsOf(url)
      assert.ok(row)
      assert.equal(isFetched(row, NOTHING), false, url)
      assert.equal(isFetched(row, new Map([[row.id, true]])), true, url)
    }
    const [keyword] = rowsOf('https://a.example/x?keyword=star&monkey=1')
    assert.equal(keyword?.ticked, true)
  })

  it('says at once what no bridge fetches, whatever is ticked', () => {
    for (const url of ['http://a.example/x.csv', 'https://me:secret@a.example/x.csv']) {
      const [row] = rowsOf(url)
      assert.ok(row?.cannot)
      assert.equal(isFetched(row, new Map([[row.id, true]])), false)
    }
    const many = rowsOf(...Array.from({ length: MAX_INPUTS + 1 }, (_, i) => `https://a.example/${i}`))
    assert.deepEqual(many.map(({ cannot }) => cannot === null).filter(can => !can).length, 1)
  })

  it('has what is ticked fetched, under the address that the code has, and nothing else', async () => {
    const rows = rowsOf(STARS, 'https://b.example/stars.csv', 'http://a.example/no')
    const asked: string[] = []
    const client = {
      fetchInput: async (url: string, path: string) => {
        asked.push(url)
        return { url, path, hash: new Uint8Array(32), size: 1 }
      }
    }
    assert.deepEqual(await fetchAddresses(client, rows, new Map([[rows[1]?.id ?? '', false]])), [
      { url: STARS, path: 'inputs/stars.csv', hash: new Uint8Array(32), size: 1 }
    ])
    assert.deepEqual(asked, [STARS])
  })
})

describe('quote: addresses in words', () => {
  it('names who learns of them, and what fails without', () => {
    const rows = rowsOf(STARS, 'https://b.example/x')
    assert.match(
      addressWords(rows, NOTHING).join(' '),
      /it and data\.example\.org and b\.example learn the address; .* not yours/
    )
    assert.deepEqual(addressWords(rows.slice(0, 1), NOTHING).length, 1)
    const none = new Map(rows.map(({ id }) => [id, false]))
    assert.deepEqual(addressWords(rows, none), ['There is no network where it runs: reading what isn’t ticked fails.'])
  })
})
