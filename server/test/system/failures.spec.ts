import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '@pekka/node/setup/places'

const HERE = join(ROOT, 'server', 'test', 'system')
/** Cases that the page must have; a part of the row's first column. */
const CASES = [
  ...['malformed', 'huge', 'old-format', 'non-Python', 'empty cell', 'syntax error', 'unknown image', 'cap too low'],
  ...['no funds', 'delegate used up', 'delegate expired', 'cap reached', 'no provider', 'before start', 'in mid-run'],
  ...['after commit', 'bridge killed', 'Redis killed', 'witness killed', 'offline', '100 MB', 'image of', 'fork bomb'],
  ...[
    'memory bomb',
    'endless loop',
    '`input()`',
    'ignored signals',
    'disk full',
    'port taken',
    'long line',
    'no rights'
  ]
]

interface Row {
  name: string
  cells: string[]
}

/** The rows of all tables on the page. */
async function rows(): Promise<Row[]> {
  const page = await readFile(join(ROOT, 'docs', 'failures.md'), 'utf8')
  return page
    .split('\n')
    .filter(line => line.startsWith('| ') && !line.startsWith('| ---') && !line.startsWith('| case |'))
    .map(line => line.slice(2, -2).split(' | '))
    .map(cells => ({ name: cells[0] ?? '', cells }))
}

/** Titles of the tests in a file; those of a helper that takes the title first count too. */
async function titlesIn(file: string): Promise<Set<string>> {
  const source = await readFile(join(HERE, file), 'utf8')
  return new Set([...source.matchAll(/\b(?:it|refuses)\(\s*(['"`])(.*?)\1/g)].map(match => match[2] ?? ''))
}

describe('docs/failures.md', () => {
  it('says of every case what is seen, how it ends, its code, who pays, and which test runs it', async () => {
    for (const { name, cells } of await rows()) {
      assert.equal(cells.length, 6, `${name}: six columns`)
      for (const cell of cells) assert.notEqual(cell.trim(), '', `${name} has an empty column`)
    }
  })

  it('names a test that exists for every case', async () => {
    for (const { name, cells } of await rows()) {
      const [, file = '', title = ''] = /^(\S+\.ts): (.+)$/.exec(cells[5] ?? '') ?? []
      assert.ok(file !== '', `${name} names no test`)
      const titles = await titlesIn(file)
      assert.ok(titles.has(title), `${name}: ${file} has no test "${title}"`)
    }
  })

  it('has a row for every test of bad input and bad luck', async () => {
    const told = new Set((await rows()).map(({ cells }) => cells[5]))
    for (const file of await readdir(HERE)) {
      if (!/^(bad-input|bad-luck|heavy|line)\./.test(file)) continue
      for (const title of await titlesIn(file))
        assert.ok(told.has(`${file}: ${title}`), `no row names ${file}: ${title}`)
    }
  })

  it('has every case that was promised', async () => {
    const names = (await rows()).map(({ name }) => name)
    for (const wanted of CASES)
      assert.ok(
        names.some(name => name.includes(wanted)),
        `no row for "${wanted}"`
      )
  })
})
