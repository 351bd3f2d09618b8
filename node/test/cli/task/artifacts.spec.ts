import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { lstat, mkdir, mkdtemp, readFile, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { placeFiles, type ReturnedFile } from '../../../src/cli/task/artifacts.js'
import { findFiles } from '../../../src/cli/task/files.js'

const content = new TextEncoder().encode('from a machine')
const returned = (name: string, more: Partial<ReturnedFile> = {}): ReturnedFile => ({
  name,
  size: content.length,
  hash: new Uint8Array(createHash('sha256').update(content).digest()),
  parts: [],
  ...more
})
const follower = {
  async *open() {
    yield content
  }
}

describe('pekka run: files that come back', () => {
  let root: string
  beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'pekka-artifacts-'))))
  afterEach(async () => await rm(root, { recursive: true, force: true }))

  it('are put into the task’s folder; literal names of the program beside it, if new', async () => {
    await writeFile(join(root, 'old.csv'), 'mine')
    const init = {
      folder: join(root, 'r'),
      beside: { folder: root, names: new Set(['new.csv', 'old.csv', '.bashrc']) }
    }
    const files = ['new.csv', 'old.csv', 'numpy.py', '.bashrc', 'deep/er/x'].map(name => returned(name))
    const placed = await placeFiles(follower, files, init)
    assert.deepEqual(
      placed.map(({ path }) => path?.slice(root.length + 1)),
      ['new.csv', 'r/old.csv', 'r/numpy.py', 'r/.bashrc', 'r/deep/er/x']
    )
    assert.equal(await readFile(join(root, 'old.csv'), 'utf8'), 'mine')
    assert.equal((await lstat(join(root, 'r', 'numpy.py'))).mode & 0o111, 0)
  })

  it('never leave the folder, follow a link, replace a file, or mix two names', async () => {
    const outside = join(root, 'outside')
    await mkdir(join(root, 'r'))
    await mkdir(outside)
    await symlink(outside, join(root, 'r', 'link'))
    await symlink(join(outside, 'target'), join(root, 'r', 'dangling'))
    await writeFile(join(root, 'r', 'there'), 'mine')
    const names = [
      '../up',
      '/abs',
      'a/../../b',
      'link/x',
      'dangling',
      'there',
      'a\u0000b',
      'x\\y',
      'C:evil',
      'twice',
      'TWICE',
      '',
      '.'
    ]
    const placed = await placeFiles(
      follower,
      names.map(name => returned(name)),
      { folder: join(root, 'r') }
    )
    assert.deepEqual(
      placed.filter(({ path }) => path !== null).map(({ name }) => name),
      ['twice']
    )
    assert.ok(placed.every(({ path, why }) => (path === null) === (why !== null)))
    assert.deepEqual(await readdir(outside), [])
    assert.deepEqual((await readdir(root)).sort(), ['outside', 'r'])
    assert.equal(await readFile(join(root, 'r', 'there'), 'utf8'), 'mine')
  })

  it('leave nothing behind when they break off', async () => {
    const broken = {
      async *open(): AsyncGenerator<Uint8Array> {
        throw new Error('gone')
      }
    }
    const [placed] = await placeFiles(broken, [returned('x')], { folder: join(root, 'r') })
    assert.equal(placed?.path, null)
    assert.deepEqual(await readdir(join(root, 'r')), [])
    const [large] = await placeFiles(follower, [returned('y', { parts: undefined })], { folder: join(root, 'r') })
    assert.equal(large?.why, 'too large to come back')
  })
})

describe('pekka run: files that travel', () => {
  let root: string
  beforeEach(async () => (root = await mkdtemp(join(tmpdir(), 'pekka-files-'))))
  afterEach(async () => await rm(root, { recursive: true, force: true }))
  const find = (source: string, options: { file?: string[]; withFiles?: boolean } = {}) =>
    findFiles(
      [source],
      { folder: root, work: root },
      { file: options.file ?? [], withFiles: options.withFiles ?? false }
    )

  it('are the modules beside it, with what those import; others are left at home and named', async () => {
    await writeFile(join(root, 'mine.py'), 'from pkg import inner\n')
    await mkdir(join(root, 'pkg', 'sub'), { recursive: true })
    await writeFile(join(root, 'pkg', '__init__.py'), '')
    await writeFile(join(root, 'pkg', 'sub', 'deep.py'), 'x = 1\n')
    await writeFile(join(root, 'unused.py'), '')
    await writeFile(join(root, 'data.csv'), '1,2\n')
    const found = await find(
      "import numpy, mine\nopen('data.csv')\nopen('nowhere.csv')\nopen('../up.csv')\nopen('made.csv', 'w')\nopen('made.csv')\nload('a_model')\nglob('*.csv')"
    )
    assert.deepEqual(
      found.files.map(({ path }) => path),
      ['mine.py', 'pkg/__init__.py', 'pkg/sub/deep.py']
    )
    assert.match(found.lines.join('\n'), /Left at home: data\.csv \(4 B\)\. To send it: --file PATH/)
    assert.match(found.lines.join('\n'), /Not found: nowhere\.csv, \.\.\/up\.csv\. What the code does not make/)
    await found.close()
    const all = await find("open('data.csv')", { withFiles: true })
    assert.deepEqual(
      all.files.map(({ path }) => path),
      ['data.csv']
    )
    await all.close()
  })

  it('are missed only where nothing in the code may make them, and never at home', async () => {
    const silent = [
      "df.to_csv('a.csv')\npd.read_csv('a.csv')",
      "torch.save(model, 'a.pt')\ntorch.load('a.pt')",
      "plt.savefig(fname='a.png')\nimread('a.png')",
      "np.save('a', x)\nnp.load('a.npy')",
      "sqlite3.connect('x.db')",
      "client.connect('broker.example.com')",
      "if os.path.exists('c.pkl'):\n  x = pickle.load(open('c.pkl', 'rb'))\nelse:\n  pickle.dump(x, open('c.pkl', 'wb'))",
      "if Path('c.txt').is_file():\n  Path('c.txt').read_text()",
      "open('./a.txt', 'w')\nopen('a.txt')\nopen('././a.txt')",
      "def load():\n  return pd.read_csv('a.csv')\ndownload(url, 'a.csv')",
      "subprocess.run(['curl', '-o', 'a.csv', url])\nopen('a.csv')",
      "pd.read_csv('~/data.csv')"
    ]
    for (const source of silent) {
      const found = await find(source)
      assert.deepEqual(found.lines, [], source)
      await found.close()
    }
    const sources = ["open('late.csv')\nopen('./lost.csv')\nPath('gone.csv').read_text()", "df.to_csv('late.csv')"]
    const found = await findFiles(sources, { folder: root, work: root }, { file: [], withFiles: false })
    assert.match(found.lines.join('\n'), /^Not found: lost\.csv, gone\.csv\. /)
    assert.deepEqual([...found.writes], [])
    await found.close()
  })

  it('tell a file that changes while it is sent, one that is none, and one outside', async () => {
    await writeFile(join(root, 'big'), new Uint8Array(1000))
    const found = await find('', { file: [join(root, 'big')] })
    const source = found.files[0]?.source
    assert.equal((await source?.read(0, 500))?.length, 500)
    await writeFile(join(root, 'big'), new Uint8Array(999))
    await assert.rejects(async () => await source?.read(500, 500), { code: 'INPUT_FILE_CHANGED' })
    await found.close()
    await assert.rejects(find('', { file: [join(root, 'missing')] }), { code: 'INPUT_FILE_UNREADABLE' })
    await mkdir(join(root, 'folder'))
    await assert.rejects(find('', { file: [join(root, 'folder')] }), { code: 'INPUT_FILE_UNREADABLE' })
    await assert.rejects(find('', { file: ['/etc/hostname'] }), { code: 'USAGE' })
  })
})
