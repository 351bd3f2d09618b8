import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MAIN } from '@pekka/node/setup/places'
import { housePlaces } from '../../../src/cli/house/state/places.js'

/** A `pekka` that was started: what it says, its end. */
export interface Running {
  child: ChildProcess
  said: { out: string; err: string }
  ended: Promise<number | null>
  /** Waits until it has printed this to stdout; fails with its stderr if it ends before. */
  until: (pattern: RegExp) => Promise<void>
}

/** Leaves the suite out where nothing is set up; under CI that is a failure instead. */
export function needSetUp(context: Mocha.Context): void {
  if (process.env.PEKKA_TEST_HOME !== undefined && existsSync(MAIN)) return
  if (process.env.CI) throw new Error('PEKKA_TEST_HOME names no home that is set up')
  context.skip()
}

/**
 * A PEKKA_HOME of a test's own, with a name that is hard on programs, which borrows the large parts (environments, images) of a
 * set-up one; and the command line as it was built.
 */
export class TestHome {
  readonly #children: ChildProcess[] = []

  private constructor(readonly path: string) {}

  static async make(): Promise<TestHome> {
    const path = await mkdtemp(join(tmpdir(), 'pekka netz ä '))
    for (const part of ['images', 'python', 'tools'])
      await symlink(join(process.env.PEKKA_TEST_HOME ?? '', part), join(path, part))
    await mkdir(join(path, 'work'))
    return new TestHome(path)
  }

  pekka = (...args: string[]): Running => this.#start([process.execPath, MAIN, ...args])

  /** The same somewhere else, e.g. in a network namespace. */
  pekkaIn = (wrap: (...command: string[]) => string[], ...args: string[]): Running =>
    this.#start(wrap(process.execPath, MAIN, ...args))

  #start([program = '', ...args]: string[]): Running {
    const child = spawn(program, args, {
      env: { ...process.env, PEKKA_HOME: this.path },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    this.#children.push(child)
    const said = { out: '', err: '' }
    child.stdout.on('data', data => (said.out += String(data)))
    child.stderr.on('data', data => (said.err += String(data)))
    const ended = new Promise<number | null>(resolve => child.once('close', code => resolve(code)))
    const until = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(said.out) && child.exitCode === null) await new Promise(resolve => setTimeout(resolve, 50))
      assert.match(said.out, pattern, said.err)
    }
    return { child, said, ended, until }
  }

  /** Fails if a process has this home in its command line, or a lock or socket is left. */
  async assertNothingLeft(): Promise<void> {
    const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
    const lines = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
    assert.deepEqual(
      lines.filter(line => line.includes(this.path)),
      []
    )
    assert.equal(existsSync(join(this.path, 'lock')), false)
    assert.equal(existsSync(housePlaces(this.path, process.env).sockets), false)
  }

  /** Stops and deletes all of it. */
  async remove(): Promise<void> {
    await this.pekka('down').ended
    for (const child of this.#children) child.kill('SIGKILL')
    await rm(this.path, { recursive: true, force: true })
  }
}
