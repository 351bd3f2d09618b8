import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { isPekkaError, PekkaError } from '@pekka/node/protocol'
import {
  describeMissing,
  chooseEnvironment,
  notOffered,
  smallInstead,
  type EnvironmentOptions
} from '../../../src/cli/task/environment.js'
import { findPython } from '../../../src/cli/task/local-python.js'
import { requirementsOf } from '../../../src/cli/task/packages.js'
import { loadProgram } from '../../../src/cli/task/program.js'

describe('pekka run: the environment', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-environment-'))
  })
  afterEach(async () => await rm(folder, { recursive: true }))

  const files = async (contents: Record<string, string>): Promise<void> => {
    for (const [name, text] of Object.entries(contents)) {
      await mkdir(dirname(join(folder, name)), { recursive: true })
      await writeFile(join(folder, name), text)
    }
  }
  const choose = async (contents: Record<string, string>, options: EnvironmentOptions = {}, name = 'main.py') => {
    await files(contents)
    const path = join(folder, name)
    return await chooseEnvironment(path, await loadProgram(path, []), options)
  }
  const code = (wanted: string, words: RegExp) => (error: unknown) =>
    isPekkaError(error) && error.code === wanted && words.test(`${error.message} ${error.advice}`)

  it('is the small one where nobody offers base and nothing more than base is needed, unless another was asked for', async () => {
    const error = new PekkaError('IMAGE_UNKNOWN', { image: 'base', known: 'base-small, rendering' })
    const plain = await choose({ 'main.py': 'import numpy' })
    assert.deepEqual(
      [smallInstead(error, plain)?.image, smallInstead(error, plain)?.label],
      ['base-small', 'base-small (no machine has base)']
    )
    assert.equal(smallInstead(new PekkaError('IMAGE_UNKNOWN', { image: 'base', known: 'rendering' }), plain), undefined)
    assert.equal(smallInstead(new PekkaError('NO_MATCH'), plain), undefined)
    assert.equal(smallInstead(error, await choose({ 'main.py': 'import rdkit' })), undefined)
    assert.equal(smallInstead(error, await choose({ 'main.py': '1' }, { image: 'base' })), undefined)
  })

  it('is the base where nothing else is needed', async () => {
    const choice = await choose({ 'main.py': 'import numpy as np, json\nprint(np.pi)' })
    assert.deepEqual([choice.label, describeMissing(choice)], ['base', []])
  })

  it('reads modules beside the script for what they import in turn', async () => {
    const contents = {
      'main.py': 'import helpers',
      'helpers.py': 'from lab.io import read',
      'lab/__init__.py': '',
      'lab/io.py': 'import yamlx\nimport main',
      'data/notes.txt': ''
    }
    await assert.rejects(
      choose(contents),
      code('PACKAGE_UNKNOWN', /yamlx isn’t known\. Did you mean yaml\?.*--with yamlx=PACKAGE/)
    )
    const choice = await choose(contents, { without: ['yamlx'] })
    assert.deepEqual([choice.image, choice.missing], ['base', []])
  })

  it('reads a notebook’s cells, and counts them as people do', async () => {
    const cell = (source: string) => ({
      cell_type: 'code',
      id: `i${source.length}`,
      metadata: {},
      source,
      outputs: [],
      execution_count: null
    })
    const notebook = (metadata: object) =>
      JSON.stringify({
        nbformat: 4,
        nbformat_minor: 5,
        metadata,
        cells: [{ cell_type: 'markdown', metadata: {}, source: 'x' }, cell('import numpy'), cell('\ntype X = int')]
      })
    const choice = await choose({ 'main.ipynb': notebook({}) }, {}, 'main.ipynb')
    assert.deepEqual(choice.notes, ['`type X = …` needs Python 3.12 (cell 2, line 2); base has 3.11.'])
    const chosen = await choose({ 'main.ipynb': notebook({ 'pekka-environment': 'of-mine' }) }, {}, 'main.ipynb')
    assert.deepEqual([chosen.image, chosen.reasons], ['of-mine', ['Chosen by you.']])
  })

  it('reads requirements, project and lock files beside the script', async () => {
    const choice = await choose({
      'main.py': 'import numpy, scipy, dynesty',
      'requirements.txt': '-r more.txt\nblack\n',
      'more.txt': 'dynesty>=2\n',
      'pyproject.toml': '[project]\nrequires-python = ">=3.12"\ndependencies = ["scipy<1"]\n',
      'uv.lock': '[[package]]\nname = "numpy"\nversion = "1.26.4"\n'
    })
    assert.deepEqual(choice.missing.map(({ distribution, specifier }) => distribution + specifier).sort(), [
      'dynesty>=2',
      'scipy<1'
    ])
    assert.deepEqual(choice.notes, [
      'requirements.txt also lists black, which this code doesn’t import: left out.',
      'It asks for Python >=3.12; base has 3.11.',
      'numpy is 1.26 here, 2.4 there.'
    ])
  })

  it('refuses a requirements file with an address, before anything is sent', async () => {
    await assert.rejects(
      choose({ 'main.py': 'import numpy', 'requirements.txt': 'numpy\ngit+https://example.org/x.git' }),
      code('INPUT_REQUIREMENTS', /requirements\.txt, line 2: the address/)
    )
  })

  it('ends a run whose packages nothing has, unless it can do without them', async () => {
    const choice = await choose({ 'main.py': 'import geopandas' })
    assert.deepEqual([describeMissing(choice), requirementsOf(choice)], [[], ['geopandas']])
    const optional = await choose({ 'main.py': 'import numpy\ntry:\n  import geopandas\nexcept ImportError:\n  pass' })
    assert.deepEqual(describeMissing(optional), ['geopandas isn’t in base; the code goes on without it.'])
    assert.deepEqual(describeMissing(await choose({ 'main.py': 'import geopandas' }, { without: ['geopandas'] })), [])
  })

  it('adds another version that the code itself asks for, and says what it replaces', async () => {
    const block = '# /// script\n# dependencies = ["numpy<2", "dask[distributed]"]\n# ///\nimport numpy, dask'
    const choice = await choose({ 'main.py': block, 'requirements.txt': 'dask' })
    assert.deepEqual(requirementsOf(choice), ['numpy<2', 'dask[distributed]'])
    assert.match(
      describeMissing(choice).join('\n'),
      /^numpy<2 is added instead of 2\.[\d.]+, which base has\.\ndask\[distributed\] is asked for: what base lacks of it is added\.$/
    )
    assert.deepEqual(requirementsOf(choice, ['numpy==1.26.4']), ['dask[distributed]', 'numpy==1.26.4'])
    const declared = await choose({ 'main.py': 'import numpy', 'requirements.txt': 'numpy<2' })
    assert.deepEqual(requirementsOf(declared), [])
    assert.match(describeMissing(declared).join(), /^numpy<2 is asked for; base has 2\.[\d.]+\.$/)
  })

  it('refuses a PEP 723 block with an address, before anything is sent', async () => {
    const block = '# /// script\n# dependencies = ["foo @ https://example.org/foo.whl"]\n# ///\n'
    await assert.rejects(choose({ 'main.py': block }), code('INPUT_REQUIREMENTS', /^main\.py, line 2: the address/))
  })

  it('compares with a Python that is named', async () => {
    const python = process.env['PEKKA_TEST_PYTHON'] ?? 'python3'
    const choice = await choose(
      { 'main.py': 'try:\n  import rdkit\nexcept ImportError:\n  pass\nimport json' },
      { python }
    )
    // It imports nothing of it, so what it lacks the code does without at home too.
    assert.ok(choice.image === 'base' || choice.image === 'chemistry')
    await assert.rejects(
      choose({ 'main.py': 'import json' }, { python: join(folder, 'no-python') }),
      code('USAGE', /can’t be asked/)
    )
  })

  it('compares with the Python that the user would run, and says which that is where it makes a difference', async () => {
    const answer = (python: string, modules: object): string =>
      `#!/bin/sh\nprintf %s ${Buffer.from(JSON.stringify({ python, modules })).toString('hex')}\n`
    await files({
      'main.py': 'import pandas\ntry:\n  import rdkit\nexcept ImportError:\n  pass',
      'path/python3': answer('3.12.4', { pandas: ['pandas', '3.0.1'], rdkit: null }),
      'venv/bin/python': answer('3.11.9', { pandas: ['pandas', '1.5.3'] }),
      'same/python3': answer('3.11.2', {}),
      'broken/python3': '#!/bin/sh\nexit 1\n'
    })
    for (const name of ['path/python3', 'venv/bin/python', 'same/python3', 'broken/python3'])
      await chmod(join(folder, name), 0o755)
    const notes = async (env: Record<string, string>): Promise<string[]> => {
      const path = join(folder, 'main.py')
      return (await chooseEnvironment(path, await loadProgram(path, []), {}, env)).notes
    }
    const at = (name: string): string => join(folder, name)
    assert.deepEqual(await notes({ PATH: `bin:${at('none')}:${at('path')}:${at('same')}` }), [
      'Python is 3.12 here, 3.11 there.',
      'pandas is 3.0 here, 2.3 there.',
      `“Here” is ${at('path/python3')}, Python 3.12.4; --python names another.`
    ])
    assert.deepEqual(await notes({ PATH: at('path'), VIRTUAL_ENV: at('venv') }), [
      'pandas is 1.5 here, 2.3 there.',
      `“Here” is ${at('venv/bin/python')}, Python 3.11.9; --python names another.`
    ])
    for (const PATH of [at('same'), at('broken'), 'path', '']) assert.deepEqual(await notes({ PATH }), [], PATH)
    // Windows and macOS put something there that only opens a window.
    assert.equal(await findPython({ PATH: '/usr/bin' }, 'darwin'), null)
  })

  it('says what to do where no machine offers the environment', async () => {
    const base = await choose({ 'main.py': 'import numpy' })
    const choice = { ...base, image: 'chemistry', label: 'chemistry (rdkit)' }
    const error = notOffered(new PekkaError('IMAGE_UNKNOWN', { image: 'chemistry', known: 'base' }), choice)
    assert.ok(
      code('IMAGE_NOT_OFFERED', /chemistry, which this code needs \(rdkit\).*npx pekka image build chemistry/)(error)
    )
    const own = new PekkaError('IMAGE_UNKNOWN', { image: 'x', known: 'base' })
    assert.equal(notOffered(own, await choose({ 'main.py': '1' }, { image: 'x' })), own)
  })

  it('does not understand half an answer', async () => {
    await assert.rejects(choose({ 'main.py': '1' }, { with: ['a b'] }), code('REQUIREMENT_REFUSED', /no package name/))
  })
})
