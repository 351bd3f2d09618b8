import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  allows,
  breaks,
  chooseImage,
  importScan,
  parseRequirement,
  readLock,
  readPyproject,
  readRequirements,
  tooNew,
  type ChoiceOptions,
  type ImageChoice
} from '@pekka/node/scan'
import { isPekkaError } from '@pekka/node/protocol'
import { tables } from './tables.js'
import { tries } from '../../support/effort.js'

const choice = (source: string, options: ChoiceOptions = {}): ImageChoice =>
  chooseImage(importScan([{ id: 'a.py', source }]), tables, options)
const uses = (source: string): string =>
  importScan([{ id: 'a', source }])
    .modules.map(({ name, optional }) => (optional ? `${name}?` : name))
    .join(' ')

describe('scan: imports', () => {
  const rows: [string, string, string][] = [
    [
      'dotted, renamed, several',
      'import a.b as c, d\nfrom e.f import g as h, i\nfrom . import j\nfrom .k import l',
      'a d e'
    ],
    ['over lines', 'from a import (\n  b,\n  c as d,\n)\nimport e, \\\n  f', 'a e f'],
    [
      'nested and conditional',
      'def f():\n  import a\nclass B:\n  import b\nif x:\n  import c\nelif y:\n  import d\nelse:\n  import e',
      'a b c d e'
    ],
    ['tried', 'try:\n  import a\nexcept ImportError:\n  a = None', 'a?'],
    ['tried, by any error', 'try:\n  import a\nexcept:\n  pass', 'a?'],
    ['tried for something else', 'try:\n  import a\nexcept KeyError:\n  pass', 'a'],
    ['tried and raised again', 'try:\n  import a\nexcept ImportError as e:\n  raise RuntimeError("no a") from e', 'a'],
    ['tried and ended', 'try:\n  import a\nexcept ImportError:\n  print("no")\n  sys.exit(2)', 'a'],
    ['needed elsewhere', 'try:\n  import a\nexcept ImportError:\n  a = None\nimport a.b', 'a'],
    ['suppressed', 'with contextlib.suppress(ImportError):\n  import a', 'a?'],
    ['in the else of a try', 'try:\n  import a\nexcept ImportError:\n  pass\nelse:\n  import b', 'a? b'],
    [
      'literal calls',
      'importlib.import_module("a.b"); __import__("c"); import_module(name); __import__("d" + e)',
      'a c'
    ],
    ['asked for', 'if importlib.util.find_spec("a"): pass', 'a?'],
    ['type checkers', 'import typing\nif typing.TYPE_CHECKING:\n  import a\nelse:\n  import b', 'typing b'],
    [
      'versions',
      'if sys.version_info < (3, 9):\n  import a\nelif sys.version_info >= (3, 12):\n  import b\nelse:\n  import c',
      'c'
    ],
    ['magics', '%load_ext a.b\n%load_ext autoreload\n%time import c\n!pip list\n%run d.py', 'a c'],
    ['timed cells', '%%time\nimport a', 'a'],
    ['cells in another language', '%%bash\nimport a', ''],
    ['strings and comments', '"import a"\n# import b\nx = """\nimport c\n"""', ''],
    ['an unfinished cell', 'import a\nfrom b import (c,\nx = ', 'a b'],
    ['in a lambda’s body', 'f = lambda: __import__("a")', 'a']
  ]
  for (const [what, source, expected] of rows) it(what, () => assert.equal(uses(source), expected))

  it('never throws, and gives lines inside the source', () => {
    const pieces = fc.constantFrom(
      ...[
        'import ',
        'from ',
        'a',
        '.',
        ',',
        ' as ',
        '(',
        ')',
        '\n',
        '  ',
        'try:',
        'except ',
        'if ',
        'else:',
        '%pip install ',
        '!',
        '"',
        '*'
      ],
      ...[
        '# /// script\n',
        '# dependencies = [',
        '# ///\n',
        '__import__(',
        'é',
        '\u0000',
        'sys.version_info >= (3,',
        '\\'
      ]
    )
    fc.assert(
      fc.property(
        fc.array(pieces, { maxLength: 50 }).map(parts => parts.join('')),
        source => {
          const { modules, requirements } = importScan([{ id: 'a', source }])
          const lines = source.split('\n').length
          for (const { line } of [...modules, ...requirements]) assert.ok(line >= 1 && line <= lines)
          chooseImage(importScan([{ id: 'a', source }]), tables)
          tooNew([{ id: 'a', source }], modules)
        }
      ),
      { numRuns: tries(250, 1000) }
    )
  })
})

describe('scan: declared packages', () => {
  const installs = (source: string): string =>
    importScan([{ id: 'a', source }])
      .requirements.map(({ distribution, specifier }) => distribution + specifier)
      .join(' ')

  it('reads install lines of pip, uv and conda, with options, quotes and continued lines', () => {
    assert.equal(
      installs('%pip install -q A_b "c[x]>=2,<3" -r req.txt\n!python -m pip install d==1.* && echo e'),
      'a-b c>=2,<3 d==1.*'
    )
    assert.equal(
      installs('!{sys.executable} -m pip install f \\\n  g --upgrade\n%conda install -c conda-forge h=1.2'),
      'f g h==1.2.*'
    )
    assert.equal(installs('!uv pip install i; ls\n%%bash'), 'i')
    assert.equal(installs('%%bash\napt-get update\npip install j\n'), 'j')
    assert.equal(installs('pip install k'), 'k')
    assert.equal(installs('!pip install ./local.whl git+https://x.org/y https://x.org/z.whl {name} .'), '')
    assert.equal(installs('!pip install a-1.0-py3-none-any.whl "b.whl[x]" c.tar.gz d.zip e.tgz f'), 'f')
    assert.equal(installs('x = "pip install l"\nprint("!pip install m")'), '')
  })

  it('reads versions as conda means them', () => {
    const line = '%conda install a=2.4 b=2.* c==2.4 d=2.4.1=py311_0 e=* f=1.0rc1 "g>=2" h=2.4*'
    assert.equal(installs(line), 'a==2.4.* b==2.* c==2.4 d==2.4.1 e f==1.0rc1 g>=2 h==2.4.*')
  })

  it('takes no value of an option for a package', () => {
    for (const option of [
      ...[
        'progress-bar off',
        'root-user-action ignore',
        'cache-dir cache',
        'log log',
        'python-version 3.11',
        'extra x'
      ],
      ...['exists-action w', 'use-feature fast-deps', 'solver libmamba', 'torch-backend auto', 'prerelease allow']
    ])
      assert.equal(installs(`!pip install --${option} pandas`), 'pandas', option)
    assert.equal(installs('!pip install -C setup=x pandas --no-deps rich'), 'pandas rich')
  })

  it('takes no name of another index for one of the public one', () => {
    for (const option of [
      ...['-i https://x.y/simple', '--index-url=https://x.y/simple', '--extra-index-url "https://pypi.org.x.y"'],
      ...['--find-links https://x.y', '-f {url}', '--default-index $INDEX', '--index own=https://x.y/simple']
    ]) {
      assert.equal(installs(`!pip install ${option} inner==1`), '', option)
      assert.equal(installs(`!pip install inner==1 ${option}`), '', option)
    }
    for (const option of [
      ...['-i https://pypi.org/simple', '--index-url=https://download.pytorch.org/whl/cpu', '-f ./wheels'],
      ...['--index torch=https://download.pytorch.org/whl/cpu', '-c https://x.y/pins.txt']
    ])
      assert.equal(installs(`!pip install ${option} torch==2.1`), 'torch==2.1', option)
  })

  it('reads requirements of PEP 508, and nothing else', () => {
    assert.deepEqual(parseRequirement('Foo.Bar[a, B] >= 1.2 , != 1.5 ; python_version < "3.12"'), {
      distribution: 'foo-bar',
      extras: ['a', 'b'],
      specifier: '>=1.2,!=1.5',
      marker: 'python_version < "3.12"'
    })
    assert.equal(parseRequirement('foo (>=2)')?.specifier, '>=2')
    for (const odd of ['', '-e .', 'foo bar', 'foo>', '>=1', 'foo @ https://x.org/y', 'https://x.org']) {
      assert.equal(parseRequirement(odd), undefined, odd)
    }
  })

  it('reads requirements.txt', () => {
    const text =
      '# mine\nnumpy==2.1.0 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n-r more.txt\nscipy>=1.1 # why\n--index-url https://x.org\n\nfoo; sys_platform == "win32"\n'
    const file = readRequirements(text, 'requirements.txt')
    assert.deepEqual(
      file.requirements.map(({ distribution, specifier, line }) => `${distribution}${specifier}@${line}`),
      ['numpy==2.1.0@4', 'scipy>=1.1@6', 'foo@9']
    )
    assert.deepEqual(file.includes, ['more.txt'])
    assert.equal(file.versions.get('numpy'), '2.1.0')
  })

  it('refuses addresses and paths in it, names the line, and shows no password', () => {
    const rows: [string, RegExp][] = [
      [
        'numpy\ngit+https://user:secret@x.org/y.git',
        /requirements\.txt, line 2: the address git\+https:\/\/x\.org\/y\.git/
      ],
      ['foo @ https://x.org/foo.whl', /line 1: the address/],
      ['./wheels/foo.whl', /the path \.\/wheels\/foo\.whl/],
      ['foo-1.0.tar.gz', /the path/],
      ['-e .', /an editable install/],
      ['-r https://x.org/r.txt', /the address/],
      ['what is this', /isn’t a package/]
    ]
    for (const [text, words] of rows) {
      assert.throws(
        () => readRequirements(text, 'requirements.txt'),
        error =>
          isPekkaError(error) &&
          error.code === 'INPUT_REQUIREMENTS' &&
          words.test(error.message) &&
          !/secret/.test(error.message)
      )
    }
  })

  it('reads pyproject.toml and lock files', () => {
    const project =
      '[project]\nname = "x"\nrequires-python = ">=3.12"\ndependencies = [\n  "numpy>=2", # [a]\n  "rich[jupyter]~=13.0",\n]\n[project.optional-dependencies]\ndev = ["black"]\n'
    const file = readPyproject(project, 'pyproject.toml')
    assert.deepEqual(
      file.requirements.map(({ distribution, specifier }) => distribution + specifier),
      ['numpy>=2', 'rich~=13.0']
    )
    assert.equal(file.requiresPython, '>=3.12')
    const poetry =
      '[tool.poetry.dependencies]\npython = "^3.10"\nscipy = "^1.11"\nfoo = {version = "~0.4.1", extras = ["x"]}\nbar = "*"\n'
    assert.deepEqual(
      readPyproject(poetry, 'p').requirements.map(({ distribution, specifier }) => distribution + specifier),
      ['scipy>=1.11,<2', 'foo>=0.4.1,<0.5', 'bar']
    )
    assert.throws(() => readPyproject('[project]\ndependencies = ["a @ https://x.org/a.whl"]', 'p'), /address/)
    const lock =
      'version = 1\n[[package]]\nname = "NumPy"\nversion = "1.26.4"\n[[package]]\nname = "foo-bar"\nversion = "0.1"\n'
    assert.deepEqual(
      [...readLock(lock).versions],
      [
        ['numpy', '1.26.4'],
        ['foo-bar', '0.1']
      ]
    )
    assert.deepEqual(
      [...readLock('{"default": {"numpy": {"hashes": [], "version": "==1.26.4"}}}').versions],
      [['numpy', '1.26.4']]
    )
  })

  it('compares versions as PEP 440 does', () => {
    const rows: [string, string, boolean][] = [
      ['>=2,<3', '2.4.6', true],
      ['>=2.4.7', '2.4.6', false],
      ['==2.4.*', '2.4.6', true],
      ['==2.4', '2.4.0', true],
      ['!=2.4.6', '2.4.6', false],
      ['~=2.2', '2.4.6', true],
      ['~=2.2.0', '2.4.6', false],
      ['<2', '2.0rc1', false],
      ['>1.9', '1.10', true],
      ['==2.13.0', '2.13.0+cpu', true],
      ['>=2', 'weird', true]
    ]
    for (const [specifier, version, expected] of rows)
      assert.equal(allows(specifier, version), expected, `${version} ${specifier}`)
    assert.equal(breaks('3.0.1', '2.3.3'), true)
    assert.equal(breaks('2.1.0', '2.3.3'), false)
    assert.equal(breaks('0.12.1', '0.13.0'), true)
  })
})

describe('scan: the choice and its reasons', () => {
  it('says which and why', () => {
    const found = choice('import numpy, pandas\nfrom rdkit import Chem')
    assert.equal(found.label, 'chemistry (rdkit)')
    assert.deepEqual(found.reasons, ['Smallest one that has rdkit.'])
    assert.deepEqual(
      found.uses.map(({ distribution, version }) => [distribution, version !== '']),
      [['rdkit', true]]
    )
    assert.equal(choice('import numpy').label, 'base')
  })

  it('asks about unknown names, and takes the answer', () => {
    const source = 'import rdkit2'
    const [question] = choice(source).questions
    assert.equal(question?.text, 'rdkit2 isn’t known. Did you mean rdkit?')
    assert.equal(question.suggestion, 'rdkit')
    assert.equal(choice('import qqqqzzzz').questions[0]?.text, 'qqqqzzzz isn’t known.')
    const left = choice(source, { answers: new Map([['rdkit2', null]]) })
    assert.deepEqual([left.questions, left.missing], [[], []])
    const named = choice(source, { answers: new Map([['rdkit2', 'RDKit']]) })
    assert.deepEqual(
      named.missing.map(({ distribution, source: from }) => [distribution, from]),
      [['rdkit', 'answer']]
    )
  })

  it('never takes a module’s own name for a package that nobody named', () => {
    for (const name of ['docker', 'opencv', 'yaml_', 'crypto', 'setup', 'utils', 'helpers']) {
      const { missing, questions } = choice(`import ${name}`)
      const known = tables.reviewed.get(name)
      assert.deepEqual(
        [missing.map(({ distribution }) => distribution), questions.length],
        known ? [[known], 0] : [[], 1],
        name
      )
    }
  })

  it('takes modules beside the code for what they are', () => {
    const options = { localModules: new Set(['helpers', 'rdkit']), localFolders: new Set(['data', 'torch']) }
    const found = choice('import helpers, data, rdkit\nimport torch', options)
    assert.deepEqual([found.image, found.missing, found.questions], ['machine-learning', [], []])
  })

  it('takes the user’s own environment for the name and version of what no image has', () => {
    const local = { python: '3.12.4', modules: new Map([['oddlib', ['Odd.Lib', '4.2.1'] as const]]) }
    const [missing] = choice('import oddlib', { local }).missing
    assert.deepEqual([missing?.distribution, missing?.specifier, missing?.source], ['odd-lib', '==4.*', 'kernel'])
  })

  it('leaves out what the code does without at home too', () => {
    const source = 'try:\n  import torch\nexcept ImportError:\n  torch = None'
    assert.equal(choice(source).image, 'machine-learning')
    assert.equal(choice(source, { local: { python: undefined, modules: new Map([['torch', null]]) } }).image, 'base')
  })

  it('says where versions differ', () => {
    const local = {
      python: '3.13.1',
      modules: new Map([
        ['pandas', ['pandas', '3.0.1'] as const],
        ['numpy', ['numpy', '2.1.0'] as const]
      ])
    }
    assert.deepEqual(choice('import numpy, pandas', { local }).notes, [
      'Python is 3.13 here, 3.11 there.',
      'pandas is 3.0 here, 2.3 there.'
    ])
    const locked = new Map([['numpy', '1.26.4']])
    assert.deepEqual(choice('import numpy', { locked }).notes, ['numpy is 1.26 here, 2.4 there.'])
  })

  it('compares what files ask for with what the image has, and leaves the rest of them out', () => {
    const { requirements } = readRequirements('numpy<2\nblack\nfoo; sys_platform == "win32"\nscipy', 'requirements.txt')
    const found = choice('import numpy, scipy', { declared: requirements })
    assert.deepEqual(
      found.missing.map(
        ({ distribution, specifier, have }) => `${distribution}${specifier} ${have?.split('.')[0] ?? '-'}`
      ),
      ['numpy<2 2']
    )
    assert.deepEqual(found.notes, ['requirements.txt also lists black, which this code doesn’t import: left out.'])
  })

  it('says what is newer than the image’s Python', () => {
    const rows: [string, string | undefined][] = [
      ['type X = int', '`type X = …` needs Python 3.12'],
      ['def f[T](a: T): pass', 'type parameters in brackets needs Python 3.12'],
      ['class A[T = int]: pass', 'defaults of type parameters needs Python 3.13'],
      ['f"{d["k"]}"', 'quotes of the same kind inside an f-string needs Python 3.12'],
      ['f"{d[\'k\']}" f\'{x!r:>{w}}\' f"""{d["k"]}"""', undefined],
      ['f"{chr(10).join(x)}\\n"', undefined],
      ['f"{"\\n".join(x)}"', 'quotes of the same kind inside an f-string needs Python 3.12'],
      ['f"{\'\\n\'.join(x)}"', 'a backslash inside the braces of an f-string needs Python 3.12'],
      ['try:\n  pass\nexcept* ValueError:\n  pass', undefined],
      ['try:\n  pass\nexcept A, B:\n  pass', '`except A, B:` without brackets needs Python 3.14'],
      ['match x:\n  case [1, *_]: pass', undefined],
      ['type = 1\nprint(type)', undefined],
      ['from itertools import batched', 'itertools.batched needs Python 3.12'],
      ['t = 1\nprint(t"{t}")', 't-strings needs Python 3.14'],
      ['x[*a] = 1\nwith (open(a) as b, open(c) as d): pass', undefined]
    ]
    for (const [source, expected] of rows) {
      const scan = importScan([{ id: 'a.py', source }])
      const notes = chooseImage(scan, tables, { tooNew: tooNew([{ id: 'a.py', source }], scan.modules) }).notes
      assert.equal(notes[0]?.replace(/ \(.*$/, ''), expected, source)
    }
    assert.deepEqual(choice('# /// script\n# requires-python = ">=3.13"\n# dependencies = []\n# ///\n').notes, [
      'It asks for Python >=3.13; base has 3.11.'
    ])
  })

  it('looks at nothing but the image that somebody chose', () => {
    const found = choice('import rdkit', { image: 'base' })
    assert.deepEqual([found.image, found.reasons], ['base', ['Chosen by you.']])
    assert.deepEqual(
      found.missing.map(({ distribution, elsewhere }) => [distribution, elsewhere]),
      [['rdkit', 'chemistry']]
    )
    assert.deepEqual(choice('import rdkit', { image: 'of-my-own' }).missing, [])
  })
})
