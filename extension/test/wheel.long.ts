import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { ROOT, homeFrom, placesIn } from '@pekka/node/setup/places'
import { uvIn, withUv } from '@pekka/node/setup/python'

interface Said {
  code: number
  text: string
}

describe('the wheel of the extension', function () {
  this.timeout(600_000)
  let folder = ''
  let wheel = ''
  const home = process.env.PEKKA_TEST_HOME ?? homeFrom(process.env)
  const uv = process.env.PEKKA_UV ?? uvIn(placesIn(home).tools)
  const python = (): string => join(folder, 'lab', 'bin', 'python')

  const run = (program: string, ...args: string[]): Promise<Said> =>
    new Promise(resolve => {
      const env = { ...withUv(placesIn(home)), JUPYTER_CONFIG_DIR: join(folder, 'config'), NO_COLOR: '1' }
      execFile(program, args, { env, cwd: folder, maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), text: stripVTControlCharacters(stdout + stderr) })
      )
    })
  const must = async (program: string, ...args: string[]): Promise<string> => {
    const { code, text } = await run(program, ...args)
    assert.equal(code, 0, `${program} ${args.join(' ')}\n${text.slice(-3000)}`)
    return text
  }

  before(async function () {
    const built = existsSync(join(ROOT, 'extension', 'pekka_jupyterlab', 'labextension', 'package.json'))
    if (!built || !existsSync(uv)) {
      if (process.env.CI !== undefined) throw new Error('the extension is not built, or there is no uv')
      return this.skip()
    }
    folder = await mkdtemp(join(tmpdir(), 'pekka wheel ü '))
    await must(uv, 'build', '--wheel', '--out-dir', join(folder, 'dist'), join(ROOT, 'extension'))
    const [name = ''] = (await readdir(join(folder, 'dist'))).filter(file => file.endsWith('.whl'))
    wheel = join(folder, 'dist', name)
    await must(uv, 'venv', '--seed', join(folder, 'lab'))
  })
  after(async () => {
    if (folder !== '') await rm(folder, { recursive: true, force: true })
  })

  it('is enabled by pip install in a fresh environment with JupyterLab 4.6, and brings what it needs', async () => {
    await must(uv, 'pip', 'install', '--python', python(), 'jupyterlab>=4.6,<4.7', 'jupyter-server-proxy>=4.4')
    const before = await must(python(), '-m', 'jupyter', 'labextension', 'list')
    assert.doesNotMatch(before, /@pekka\/jupyterlab/)
    await must(python(), '-m', 'pip', 'install', '--no-index', wheel)
    await must(python(), '-m', 'pip', 'check')
    const list = await must(python(), '-m', 'jupyter', 'labextension', 'list')
    assert.match(list, /@pekka\/jupyterlab v\d+\.\d+\.\d+ enabled OK \(python, pekka[-_]jupyterlab\)/)
    await must(python(), '-m', 'pip', 'uninstall', '--yes', 'pekka-jupyterlab')
    assert.doesNotMatch(await must(python(), '-m', 'jupyter', 'labextension', 'list'), /@pekka\/jupyterlab/)
  })

  it('is refused beside another JupyterLab in one line that names the one it needs', async () => {
    for (const other of ['jupyterlab==4.5.*', 'jupyterlab==3.6.*']) {
      const { code, text } = await run(uv, 'pip', 'install', '--dry-run', '--python', python(), other, wheel)
      assert.notEqual(code, 0, other)
      assert.match(text.replaceAll(/\s+/g, ' '), /pekka-jupyterlab==\S+ depends on jupyterlab>=4\.6,<4\.7/)
    }
  })
})
