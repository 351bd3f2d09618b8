import assert from 'node:assert/strict'
import {
  ABSENT,
  STANDARD_LIBRARY,
  checkScripts,
  chooseImage,
  differs,
  differsWords,
  importScan,
  missingRequirements,
  readRequirements,
  type ChoiceOptions,
  type ImageChoice
} from '@pekka/node/scan'
import { isPekkaError } from '@pekka/node/protocol'
import { tables } from './tables.js'

const choice = (source: string, options: ChoiceOptions = {}): ImageChoice =>
  chooseImage(importScan([{ id: 'a.py', source }]), tables, options)
const script = (...entries: string[]): string =>
  `# /// script\n# dependencies = [${entries.map(entry => `"${entry}"`).join(', ')}]\n# ///\n`

/** The package as it is in base. */
const inBase = (name: string): string =>
  tables.images.find(image => image.name === 'base')?.modules.get(name)?.[1] ?? ''

/** Code, what is added for it, and what is said of versions. */
const ASKED: [what: string, source: string, added: string[], words: string[]][] = [
  [
    'an install line with another version',
    '%pip install pandas==1.5.3\nimport pandas',
    ['pandas==1.5.3'],
    [`pandas==1.5.3 is added instead of ${inBase('pandas')}, which base has.`]
  ],
  [
    'a shell’s install line',
    '!pip install "numpy<2"\nimport numpy',
    ['numpy<2'],
    [`numpy<2 is added instead of ${inBase('numpy')}, which base has.`]
  ],
  [
    'a PEP 723 block with another version',
    `${script('numpy<2')}import numpy`,
    ['numpy<2'],
    [`numpy<2 is added instead of ${inBase('numpy')}, which base has.`]
  ],
  [
    'another version of what isn’t imported',
    '%pip install pandas==1.5.3\n1',
    ['pandas==1.5.3'],
    [`pandas==1.5.3 is added instead of ${inBase('pandas')}, which base has.`]
  ],
  ['a version that the environment has', `%pip install "pandas>=2"\n${script('numpy')}import numpy, pandas`, [], []],
  ['an install line without a version', '%pip install -U pandas numpy\nimport pandas', [], []],
  [
    'an install line for another system',
    '%pip install "pandas==1.5.3; sys_platform == \'win32\'"\nimport pandas',
    [],
    []
  ],
  [
    'what is installed where it is missing',
    'try:\n  import dynesty\nexcept ImportError:\n  !pip install dynesty\n  import dynesty',
    ['dynesty'],
    []
  ],
  [
    'extras, imported',
    '%pip install "dask[distributed]"\nimport dask',
    ['dask[distributed]'],
    ['dask[distributed] is asked for: what base lacks of it is added.']
  ],
  [
    'extras, not imported',
    `${script('pandas[excel]>=2')}1`,
    ['pandas[excel]>=2'],
    ['pandas[excel]>=2 is asked for: what base lacks of it is added.']
  ],
  ['a part with a distribution of its own', 'import dask.distributed', ['distributed'], []],
  ['a part, from the whole', 'from dask import array, distributed', ['distributed'], []],
  ['a part that may be missing', 'try:\n  import dask.distributed\nexcept ImportError:\n  pass', [], []],
  ['the whole without that part', 'import dask.array, dask', [], []],
  [
    'parts of a namespace, one of which the environment has',
    'from mpl_toolkits import mplot3d, basemap',
    ['basemap'],
    []
  ],
  [
    'parts of a namespace that no environment has',
    'from google.cloud import storage, bigquery',
    ['google-cloud-storage', 'google-cloud-bigquery'],
    []
  ],
  [
    'parts of a namespace in several imports',
    'import google.protobuf\nfrom google.cloud.storage import Client, Blob\nimport google.cloud.bigquery',
    ['google-cloud-storage', 'google-cloud-bigquery'],
    []
  ],
  ['names of one part of a namespace', 'from google.cloud.storage import Client, Blob', ['google-cloud-storage'], []],
  ['a part of a namespace that the environment has', 'import google.protobuf', [], []]
]

describe('scan: what the code itself asks for', () => {
  for (const [what, source, added, words] of ASKED) {
    it(what, () => {
      const found = choice(source)
      assert.deepEqual([found.questions, missingRequirements(found)], [[], added])
      assert.deepEqual(
        found.missing.filter(differs).map(one => differsWords(one, found.image)),
        words
      )
    })
  }

  it('is asked about where a part of a namespace is unknown', () => {
    const found = choice('from google.cloud import storage, nothing')
    assert.deepEqual([found.questions.length, missingRequirements(found)], [1, ['google-cloud-storage']])
  })

  it('is a note where a file beside it asks for another version', () => {
    const { requirements } = readRequirements('numpy<2\ndask[distributed]', 'requirements.txt')
    const found = choice('import numpy, dask', { declared: requirements })
    assert.deepEqual(missingRequirements(found), [])
    assert.deepEqual(
      found.missing.filter(differs).map(one => differsWords(one, found.image)),
      [`numpy<2 is asked for; base has ${inBase('numpy')}.`]
    )
  })

  it('is added where the code and a file ask for other versions', () => {
    const ROWS: [source: string, file: string, added: string[]][] = [
      ['%pip install "numpy<2"\nimport numpy', 'numpy>=1.20', ['numpy<2']],
      ['%pip install pandas==1.5.3\nimport pandas', 'pandas==2.1.0', ['pandas==1.5.3']],
      ['%pip install "dask[distributed]"\nimport dask', 'dask==2021.1', ['dask[distributed]']],
      ['%pip install -U pandas\nimport pandas', 'pandas==1.4', []],
      // What no image has comes in the way that both allow, else in the code's.
      ['%pip install "dynesty>=1"\nimport dynesty', 'dynesty==2.0', ['dynesty>=1,==2.0']],
      ['%pip install dynesty==1.0\nimport dynesty', 'dynesty==2.0', ['dynesty==1.0']]
    ]
    for (const [source, file, added] of ROWS) {
      const { requirements } = readRequirements(file, 'requirements.txt')
      assert.deepEqual(missingRequirements(choice(source, { declared: requirements })), added, source)
    }
  })

  it('is what the last of several install lines asks for, where they contradict each other', () => {
    const ROWS: [lines: string[], added: string[]][] = [
      [['pandas==1.5.3', 'pandas==2.0.0'], ['pandas==2.0.0']],
      [['pandas==1.5.3', `pandas==${inBase('pandas')}`], []],
      [['"pandas<2"', '"pandas>=2"'], []],
      [['pandas==1.5.3', 'pandas'], ['pandas==1.5.3']],
      [['"pandas[excel]==1.5.3"', 'pandas==2.0.0'], ['pandas[excel]==2.0.0']],
      [['"pandas<2"', '"pandas>1.2"'], ['pandas<2,>1.2']]
    ]
    for (const [lines, added] of ROWS) {
      const cells = lines.map((line, index) => ({ id: `c${String(index)}`, source: `%pip install ${line}` }))
      const found = (code: string): string[] =>
        missingRequirements(chooseImage(importScan([...cells, { id: 'last', source: code }]), tables))
      assert.deepEqual(found('import pandas'), added, lines.join(' '))
      assert.deepEqual(found('1'), added, `${lines.join(' ')}, not imported`)
    }
  })

  it('is left out where the user says so', () => {
    for (const source of [
      '%pip install pandas==1.5.3\nimport pandas',
      '%pip install odd-thing\nimport odd_thing',
      '%pip install odd-thing'
    ]) {
      const answers = new Map(['pandas', 'odd_thing', 'odd-thing'].map(name => [name, null]))
      assert.deepEqual(missingRequirements(choice(source, { answers })), [], source)
    }
    const part = choice('import dask.distributed', { answers: new Map([['dask.distributed', null]]) })
    assert.deepEqual([part.questions, part.missing], [[], []])
  })
})

describe('scan: what no environment has', () => {
  it('is said of modules of Python that the images lack, unless the code does without', () => {
    assert.deepEqual(choice('import numpy\nfrom tkinter import ttk').notes, [
      'tkinter is in no environment: there is no screen for its windows. The code stops where it imports it (a.py, line 2).'
    ])
    for (const name of ABSENT.keys()) {
      assert.ok(STANDARD_LIBRARY.has(name), name)
      assert.equal(choice(`import ${name}`).notes.length, 1, name)
      assert.deepEqual(choice(`try:\n  import ${name}\nexcept ImportError:\n  pass`).notes, [], name)
      assert.deepEqual(choice(`import ${name}`, { localModules: new Set([name]) }).notes, [], name)
    }
    assert.deepEqual(choice('import json, sqlite3, curses, distutils').notes, [])
  })

  it('is asked about where the images’ setuptools has it no more', () => {
    assert.deepEqual(
      choice('import pkg_resources').questions.map(({ module }) => module),
      ['pkg_resources']
    )
    const local = { python: '3.11.2', modules: new Map([['pkg_resources', ['setuptools', '75.1.0'] as const]]) }
    assert.deepEqual(missingRequirements(choice('import pkg_resources', { local })), ['setuptools==75.*'])
    assert.deepEqual(choice('import setuptools').questions, [])
  })
})

describe('scan: PEP 723 blocks', () => {
  const ROWS: [entry: string, words: RegExp][] = [
    [
      'foo @ https://user:secret@example.org/foo.whl',
      /^a\.py, line 2: the address foo @ https:\/\/example\.org\/foo\.whl/
    ],
    ['git+https://example.org/foo', /the address git\+https/],
    ['./foo', /the path \.\/foo/],
    ['foo-1.0.tar.gz', /the path foo-1\.0\.tar\.gz/],
    ['what is this', /isn’t a package/]
  ]
  for (const [entry, words] of ROWS)
    it(`are refused with ${entry.split(' ')[0]}`, () => {
      const source = script('numpy', entry)
      assert.throws(
        () => checkScripts([{ name: 'a.py', source }]),
        error =>
          isPekkaError(error) &&
          error.code === 'INPUT_REQUIREMENTS' &&
          words.test(error.message) &&
          !error.message.includes('secret')
      )
      assert.equal(importScan([{ id: 'a', source }]).refused, true)
    })

  it('are taken with named packages', () => {
    const source = script('numpy>=2', "dask[distributed]; sys_platform == 'linux'")
    checkScripts([{ name: 'a.py', source }])
    assert.equal(importScan([{ id: 'a', source }]).refused, false)
  })
})
