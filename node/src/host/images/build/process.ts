import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { SHOWN_LINES } from '../constants.js'

export interface CommandOptions {
  signal?: AbortSignal
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** Every line of standard error, and of standard output unless `onOutput` takes it. */
  onLine?: (line: string) => void
  /** Standard output line by line, kept apart from standard error. */
  onOutput?: (line: string) => void
}

/** A command that ended badly: which one, how, and its last words. */
export class CommandError extends Error {
  override readonly name = 'CommandError'

  constructor(
    readonly command: string,
    readonly exitCode: number | null,
    readonly lastLines: readonly string[]
  ) {
    super(`${command} ended with ${exitCode ?? 'a signal'}: ${lastLines.join('\n')}`)
  }
}

function lines(stream: Readable, take: (line: string) => void): Promise<void> {
  return new Promise(resolve => {
    createInterface({ input: stream, crlfDelay: Infinity })
      .on('line', take)
      .on('close', () => resolve())
  })
}

/**
 * Runs a command to its end.
 *
 * Throws `CommandError` where it can't be started or ends with another code than 0, and the signal's reason where it was aborted
 * (the command is then killed with its children, so that nothing writes into a folder that is being removed).
 */
export async function runCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {}
): Promise<void> {
  options.signal?.throwIfAborted()
  const last: string[] = []
  const remember = (line: string): void => {
    last.push(line)
    if (last.length > SHOWN_LINES) last.shift()
    options.onLine?.(line)
  }
  // detached: the child leads its own process group, so that abort reaches what it started (xz, tar, uv's workers) as well
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const kill = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // ended in the meantime
    }
  }
  options.signal?.addEventListener('abort', kill, { once: true })
  // A process that dies (Ctrl-C) must not leave its command behind.
  process.once('exit', kill)
  try {
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    const [code] = await Promise.all([
      ended,
      lines(child.stdout, options.onOutput ?? remember),
      lines(child.stderr, remember)
    ])
    options.signal?.throwIfAborted()
    if (code !== 0) throw new CommandError(`${command} ${args[0] ?? ''}`.trim(), code, last)
  } catch (error) {
    if (error instanceof CommandError || options.signal?.aborted) throw error
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    const words = error instanceof Error ? error.message : String(error)
    throw new CommandError(command, null, [isMissing ? 'is not installed, or its working directory is gone' : words])
  } finally {
    options.signal?.removeEventListener('abort', kill)
    process.removeListener('exit', kill)
  }
}

/** The standard output of a command, line by line. Errors as `runCommand`. */
export async function readCommand(
  command: string,
  args: readonly string[],
  options: CommandOptions = {}
): Promise<string[]> {
  const output: string[] = []
  await runCommand(command, args, { ...options, onOutput: line => output.push(line) })
  return output
}
