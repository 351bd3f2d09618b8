import { spawn } from 'node:child_process'
import { readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { PekkaError } from '@pekka/node/protocol'
import type { Command } from 'commander'
import type { CliContext } from '../../context.js'
import { lastLines } from '../log.js'
import { housePlaces } from '../state/places.js'

interface LogsOptions {
  follow: boolean
  lines: string
  process?: string
}

/** `pekka logs` of the processes; with a task, its output. */
export function register(program: Command, context: CliContext): void {
  program
    .command('logs')
    .description('what a task printed; without a task, what the processes log')
    .argument('[task]', 'a task of yours, as "pekka tasks" shows it')
    .option('-f, --follow', 'go on as it comes', false)
    .option('-n, --lines <number>', 'so many of the last lines of each', '20')
    .option('--process <name>', 'one process: witness, bridge, wallet, provider-1, valkey, jupyter …')
    .option('--json', 'as JSON: of the processes {"process", "line"}, one a line')
    .action(async (task: string | undefined, options: LogsOptions) => {
      if (task === undefined) return logs(context, options)
      const { taskLogs } = await import('../../commands/task-logs.js')
      return taskLogs(context, task, options)
    })
}

async function logs(context: CliContext, options: LogsOptions): Promise<void> {
  const places = housePlaces(context.home, context.env)
  const found = (await readdir(places.logs).catch(() => [])).filter(name => name.endsWith('.log')).sort()
  const wanted = options.process === undefined ? found : found.filter(name => name === `${options.process}.log`)
  const lines = Number(options.lines)
  if (!Number.isInteger(lines) || lines < 0)
    throw new PekkaError('USAGE', { issue: `"${options.lines}" is not a number of lines.` })
  if (wanted.length === 0) {
    const known = found.map(name => basename(name, '.log')).join(', ')
    throw new PekkaError('USAGE', {
      issue:
        options.process === undefined
          ? 'There are no logs yet.'
          : `There is no log of "${options.process}". Known: ${known || 'none'}.`
    })
  }
  if (options.follow)
    return follow(
      context,
      wanted.map(name => join(places.logs, name)),
      lines
    )
  for (const name of wanted) {
    if (!context.json) context.result(`==> ${join(places.logs, name)}`)
    for (const line of await lastLines(join(places.logs, name), lines))
      context.result(context.json ? { process: basename(name, '.log'), line } : line)
  }
}

/** tail(1) knows how to follow files that are put aside and made anew. */
function follow(context: CliContext, files: string[], lines: number): Promise<void> {
  const tail = spawn('tail', ['-v', '-n', String(lines), '-F', '--', ...files], {
    stdio: ['ignore', context.json ? 'pipe' : 'inherit', 'ignore']
  })
  if (tail.stdout !== null) {
    let process = ''
    createInterface({ input: tail.stdout }).on('line', line => {
      const [, file] = /^==> (.+\.log) <==$/.exec(line) ?? []
      if (file !== undefined) process = basename(file, '.log')
      else if (line !== '') context.result({ process, line })
    })
  }
  context.signal.addEventListener('abort', () => tail.kill(), { once: true })
  return new Promise((resolve, reject) => {
    tail.once('error', reject)
    tail.once('exit', () => resolve())
  })
}
