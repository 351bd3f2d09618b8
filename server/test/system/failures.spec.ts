import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describeEnd, type EndWords } from '@pekka/node/client'
import { ERRORS, type DoneReason, type ErrorCode } from '@pekka/node/protocol'
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
    'no rights',
    'bids low enough',
    'falls silent',
    'no quorum',
    'one witness killed'
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

  it('says exactly what the program says', async () => {
    const spoken = await literals()
    for (const { name, cells } of await rows())
      for (const chain of exactWords(cells[1] ?? '')) {
        const codes = [...(cells[3] ?? '').matchAll(/[A-Za-z][\w-]+/g)].map(([word]) => word)
        const told = codes.flatMap(code => [...catalogued(code), ...ends(code)])
        const known = told.some(words => words.length >= chain.length && chain.every((part, i) => words[i]?.test(part)))
        // What isn't the catalogue's is a line of the command line's own.
        const own = chain.every(part => spoken.some(pattern => pattern.test(part)))
        assert.ok(known || own, `${name}: nothing says "${chain.join(' · ')}"`)
      }
  })
})

/** The parts of the second column that are quoted, each as its title, facts and advice; what begins in lower case describes. */
const exactWords = (cell: string): string[][] =>
  cell
    .split(
      /; (?=Done,)|, then: |^new work: | What runs: | (?=Then all)| in its place|, or what Python|, the end|^[a-z ]+[;,] /
    )
    .map(part => part.split(' · ').map(piece => piece.trim()))
    .filter(([first = '']) => /^[A-Z["]/.test(first) && first.includes(' ') && !first.startsWith('Then '))

/** Title and advice of a code of the catalogue. */
function catalogued(code: string): RegExp[][] {
  if (!Object.hasOwn(ERRORS, code)) return []
  // Just looked up.
  const { title, advice } = ERRORS[code as ErrorCode]
  return [[template(title), template(advice)]]
}

/** What the client says of the ends of a run, with the facts that the page has. */
function ends(reason: string): RegExp[][] {
  const details = [
    {},
    ...[{ ename: 'ZeroDivisionError' }, { ename: 'StdinNotImplementedError' }, { hint: 'input' }, { exitCode: 1 }],
    ...[{ limitMs: 2_000 }, { limitMs: 5_000 }, { atCap: true }, { limitBytes: 2 ** 29 }, { limitBytes: 2 ** 31 }]
  ]
  return details.flatMap(detail => {
    // Words that aren't reasons have no description.
    const said = describeEnd(reason as DoneReason, detail) as EndWords | undefined
    return said === undefined ? [] : [[said.title, ...said.facts, said.advice ?? ''].filter(Boolean).map(exactly)]
  })
}

/** Every text of the command line and the client as a pattern, those that say next to nothing left out. */
async function literals(): Promise<RegExp[]> {
  const folders = [
    'node/src/cli/commands',
    'node/src/cli/task',
    'node/src/cli/house',
    'node/src/core/client',
    'node/src/core/scan'
  ]
  const patterns: RegExp[] = []
  for (const folder of folders)
    for (const file of await readdir(join(ROOT, folder), { recursive: true })) {
      if (!file.endsWith('.ts')) continue
      const source = await readFile(join(ROOT, folder, file), 'utf8')
      for (const [, , text = ''] of source.matchAll(/(['"`])((?:\\.|(?!\1)[^\\\n])*)\1/g))
        if (
          fixedParts(text)
            .join('')
            .replace(/[^a-z]/gi, '').length >= 8
        )
          patterns.push(template(text.replace(/\\n$/, '')))
    }
  return patterns
}

/** A text whose holes (`{name}`, `${name}`) take anything. */
const template = (text: string): RegExp => new RegExp(`^${fixedParts(text).map(escaped).join('.+')}$`)
const fixedParts = (text: string): string[] => text.split(/\$?\{(?:[^{}]|\{[^{}]*\})*\}/)
const exactly = (text: string): RegExp => new RegExp(`^${escaped(text)}$`)
const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
