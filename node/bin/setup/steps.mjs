/**
 * Runs set-up steps: one line each with its seconds, everything a command prints in a log file, and for a step that fails its
 * last lines, the command and the log's path.
 */
import { spawn } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Lines of a failed command that are shown. A stack trace or an npm error fits; the log has the rest. */
const LAST_LINES = 15
/** Width of the names' column. */
const NAME_WIDTH = 22
/** Characters of a bar. */
const BAR_WIDTH = 20
/** Where no line can be redrawn, a step says how far it is so often, ms: a log stays short, and nobody thinks it hangs. */
const PLAIN_MS = 15_000
/** Below this share the rest of the time can't be told from it. */
const GUESS_FROM = 0.1

/** A step that failed, told so that a person can go on. */
export class StepError extends Error {
  /** @param {{ step: string, reason: string, command?: string, log?: string, lastLines?: string[] }} what */
  constructor(what) {
    super(
      [
        `${what.step} failed: ${what.reason}`,
        ...(what.lastLines ?? []).map(line => `    ${line}`),
        ...(what.command ? [`  command  ${what.command}`] : []),
        ...(what.log ? [`  full log ${what.log}`] : [])
      ].join('\n')
    )
    this.name = 'StepError'
  }
}

/**
 * @typedef {object} Step
 * @property {(text: string, fraction?: number) => void} progress shows how far it is: a line that is redrawn on a terminal, else a line now and then
 * @property {(command: string, args: string[], options?: { cwd?: string, env?: NodeJS.ProcessEnv, onLine?: (line: string) => void }) => Promise<void>} run runs a command into the log
 * @property {AbortSignal} signal fires when another step failed or the user gave up
 */

export class Steps {
  /**
   * @param {{ logs: string, quiet?: boolean, out?: { write(text: string): unknown, isTTY?: boolean, columns?: number }, signal?: AbortSignal }} init
   */
  constructor({ logs, quiet = false, out = process.stderr, signal }) {
    this.logs = logs
    this.quiet = quiet
    this.out = out
    this.abort = new AbortController()
    /** Steps under way and what they last said, in order of start. @type {Map<string, string>} */
    this.active = new Map()
    /** Lines of the ones whose share is known, which are drawn as a bar. @type {Map<string, string>} */
    this.bars = new Map()
    this.drawn = false
    signal?.addEventListener('abort', () => this.abort.abort(signal.reason), { once: true })
    if (signal?.aborted) this.abort.abort(signal.reason)
  }

  /**
   * Runs one step. A step that returns text has its line end in it ("ready", a version); one that returns nothing was not
   * needed and prints nothing.
   * @param {string} name
   * @param {(step: Step) => Promise<string | void>} work
   */
  async step(name, work) {
    if (this.abort.signal.aborted) throw this.abort.signal.reason
    const started = Date.now()
    let told = started
    const log = join(this.logs, `${name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.log`)
    this.active.set(name, '')
    this.#draw()
    try {
      const said = await work({
        signal: this.abort.signal,
        progress: (text, fraction) => {
          this.active.set(name, text)
          if (fraction !== undefined) this.bars.set(name, barLine(name, text, fraction, Date.now() - started))
          this.#draw()
          if (this.#draws() || this.quiet || Date.now() - told < PLAIN_MS) return
          told = Date.now()
          this.out.write(
            `${barLine(name, text, fraction, Date.now() - started)
              .replace(/#[#-]*/, '')
              .trimEnd()}\n`
          )
        },
        run: (command, args, options = {}) =>
          runLogged(name, log, command, args, { ...options, signal: this.abort.signal })
      })
      this.#forget(name)
      if (said) this.say(`  ${name.padEnd(NAME_WIDTH)}${said.padEnd(38)} ${seconds(Date.now() - started)}`)
      else this.#clear()
    } catch (error) {
      this.#forget(name)
      this.#clear()
      const failure = error instanceof StepError ? error : new StepError({ step: name, reason: messageOf(error) })
      if (!this.abort.signal.aborted) this.abort.abort(failure)
      throw this.abort.signal.reason
    } finally {
      this.#draw()
    }
  }

  /** @param {string} line */
  say(line) {
    if (this.quiet) return
    this.#clear()
    this.out.write(line.trimEnd() + '\n')
    this.#draw()
  }

  /** Whether a line can be redrawn here. */
  #draws() {
    return !this.quiet && Boolean(this.out.isTTY) && process.env.TERM !== 'dumb'
  }

  /** @param {string} name */
  #forget(name) {
    this.active.delete(name)
    this.bars.delete(name)
  }

  #draw() {
    if (!this.#draws()) return
    this.#clear()
    if (this.active.size === 0) return
    const text = [...this.active].map(([name, said]) => (said ? `${name}: ${said}` : name)).join(' · ')
    // the one whose end is known is the one that is waited for
    const [bar] = this.bars.values()
    this.out.write((bar ?? `  … ${text}`).slice(0, (this.out.columns ?? 80) - 1))
    this.drawn = true
  }

  #clear() {
    if (this.drawn) this.out.write('\r\x1b[2K')
    this.drawn = false
  }
}

/**
 * `  Base environment      ###############-----  1283 of 1692 MB   about 40 s`
 * @param {string} name @param {string} text @param {number | undefined} fraction @param {number} elapsed ms
 */
function barLine(name, text, fraction, elapsed) {
  if (fraction === undefined) return `  ${name.padEnd(NAME_WIDTH)}${text}`
  const full = Math.round(Math.min(1, fraction) * BAR_WIDTH)
  const left = fraction < GUESS_FROM ? '' : `   about ${seconds(roundUp((elapsed * (1 - fraction)) / fraction))}`
  return `  ${name.padEnd(NAME_WIDTH)}${'#'.repeat(full)}${'-'.repeat(BAR_WIDTH - full)}  ${text}${left}`
}

/** To whole tens of seconds, so that a guess looks like one. @param {number} ms */
const roundUp = ms => Math.max(10_000, Math.ceil(ms / 10_000) * 10_000)

/** @param {number} ms */
export function seconds(ms) {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`
}

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error)
}

/** @param {string} word */
const quoted = word => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

/**
 * Runs a command in its own process group with all it prints in `log`; rejects with a StepError that shows the log's last lines.
 * @param {string} step
 * @param {string} log
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, signal?: AbortSignal, onLine?: (line: string) => void }} [options]
 */
export async function runLogged(step, log, command, args, options = {}) {
  const line = [command, ...args].map(quoted).join(' ')
  await mkdir(dirname(log), { recursive: true })
  options.signal?.throwIfAborted()
  const file = createWriteStream(log, { flags: 'a' })
  file.write(`\n$ ${line}\n`)
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true
  })
  const stop = () => {
    try {
      if (child.pid) process.kill(-child.pid, 'SIGTERM')
    } catch {
      // gone already
    }
  }
  options.signal?.addEventListener('abort', stop, { once: true })
  let rest = ''
  const take = (/** @type {Buffer} */ chunk) => {
    file.write(chunk)
    if (!options.onLine) return
    const lines = (rest + chunk.toString()).split(/\r?\n|\r/)
    rest = lines.pop() ?? ''
    lines.forEach(options.onLine)
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  /** @type {string | undefined} */
  const reason = await new Promise(resolve => {
    child.on('error', error =>
      resolve(
        /** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT' ? `${command} isn't installed` : error.message
      )
    )
    child.on('close', (code, signal) =>
      resolve(code === 0 ? undefined : signal ? `ended by ${signal}` : `exit code ${code}`)
    )
  })
  options.signal?.removeEventListener('abort', stop)
  await new Promise(resolve => file.end(resolve))
  if (reason === undefined) return
  const text = await readFile(log, 'utf8')
  const lastLines = text
    .slice(text.lastIndexOf(`\n$ ${line}\n`))
    .trimEnd()
    .split(/\r?\n/)
    .slice(2)
    .slice(-LAST_LINES)
  throw new StepError({ step, reason, command: line, log, lastLines })
}
