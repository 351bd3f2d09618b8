import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { once } from 'node:events'
import { replaceFile } from '../../host/files/index.js'
import { InvalidArgumentError, type Command } from 'commander'
import { ROOT } from '@pekka/node/setup/places'
import { joinNetwork } from '../../agents/provider/index.js'
import { PekkaError, toHex } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { HOLD_PRICE } from '../house/constants.js'
import { ENGINE_FLAGS } from '../house/processes/engine.js'
import { collect } from '../task/options.js'

interface StartOptions {
  bridge?: string[]
  join?: string
  name: string
  price?: string
  holdPrice?: string
  concurrency?: number
  image?: string[]
  runtime?: string
}

const MAIN = join(ROOT, 'node', 'dist', 'agents', 'provider', 'main.js')

/** `pekka provider start`: offers this machine to a network that runs elsewhere. */
export function register(program: Command, context: CliContext): void {
  const provider = program.command('provider').description('offer this machine to a network')
  provider
    .command('start')
    .description('join a network, or go on where it was joined before, and take tasks until Ctrl-C')
    .option('--bridge <address>', 'address of a bridge, as "pekka invite" prints it; may be repeated', collect)
    .option('--join <code>', 'the code of "pekka invite"; needed the first time')
    .option('--name <name>', 'what this machine is called', defaultName())
    .option('--price <micro-credits>', 'price of a second, in micro-credits', digits)
    .option('--hold-price <micro-credits>', 'price of a second in which it is kept for a session and waits', digits)
    .option('--concurrency <number>', 'tasks at a time', positive)
    .option('--image <name>', 'an environment to offer; may be repeated (default: all that are built here)', collect)
    .option('--runtime <name>', 'docker, bubblewrap or auto')
    .option('--json', 'what it says when it is ready, as JSON')
    .action(async (options: StartOptions) => {
      const folder = join(context.home, 'provider', options.name)
      const file = await writeSettings(context, folder, options)
      process.exitCode = await serve(context, file)
    })
}

/** Settings of the first start are kept; a later start changes what it names. Returns the settings file. */
async function writeSettings(context: CliContext, folder: string, options: StartOptions): Promise<string> {
  const { bridge: bridges = [], image: images = [] } = options
  const file = join(folder, 'settings.json')
  const known = existsSync(file) ? readJson(await readFile(file, 'utf8')) : null
  if (known === null && (options.join === undefined || bridges.length === 0)) {
    throw new PekkaError('USAGE', {
      issue: 'The first start needs --bridge and --join, as "pekka invite" prints them.'
    })
  }
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const joined =
    options.join === undefined
      ? null
      : await joinNetwork(folder, { name: options.name, code: options.join, bridges }, context.signal)
  if (joined !== null) context.say(`Joined the network ${toHex(joined.network).slice(0, 8)}.`)
  const settings = {
    home: context.home,
    account: join(folder, 'account.key'),
    images: { home: context.home, names: 'built' },
    pool: { base: 1 },
    holdPricePerSecond: HOLD_PRICE,
    readyFile: join(folder, 'ready.json'),
    ...known,
    ...(joined !== null
      ? { network: toHex(joined.network), bridges: joined.bridges, witnesses: joined.witnesses }
      : {}),
    ...(options.join === undefined && bridges.length > 0 ? { bridges } : {}),
    name: options.name,
    ...(options.price === undefined ? {} : { pricePerSecond: options.price }),
    ...(options.holdPrice === undefined ? {} : { holdPricePerSecond: options.holdPrice }),
    ...(options.concurrency === undefined ? {} : { concurrency: options.concurrency }),
    ...(options.runtime === undefined ? {} : { runtime: options.runtime }),
    ...(images.length === 0
      ? {}
      : {
          images: { home: context.home, names: images },
          pool: Object.fromEntries(images.slice(0, 1).map(name => [name, 1]))
        })
  }
  await replaceFile(file, JSON.stringify(settings, null, 2))
  return file
}

/** Runs the provider's process until it ends or the user stops it; gives its exit code. */
async function serve(context: CliContext, file: string): Promise<number> {
  const child = spawn(process.execPath, [...ENGINE_FLAGS, MAIN, '--settings', file], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: context.env
  })
  child.on('message', message => {
    if (context.json) context.result(Object(message))
    else context.say('This machine takes tasks now. Ctrl-C ends it; tasks that run may end first.')
  })
  const stop = (): void => void child.kill('SIGTERM')
  const hurry = (): void => void child.kill('SIGKILL')
  context.signal.addEventListener('abort', stop, { once: true })
  context.hurry.addEventListener('abort', hurry, { once: true })
  try {
    const [code] = await once(child, 'exit')
    return typeof code === 'number' ? code : 1
  } finally {
    context.signal.removeEventListener('abort', stop)
    context.hurry.removeEventListener('abort', hurry)
  }
}

function digits(value: string): string {
  if (!/^[1-9][0-9]{0,12}$/.test(value)) throw new InvalidArgumentError('a whole number of micro-credits')
  return value
}

function positive(value: string): number {
  if (!/^[1-9][0-9]{0,3}$/.test(value)) throw new InvalidArgumentError('a number from 1 on')
  return Number(value)
}

/** The host's name as far as a name may have its letters. */
function defaultName(): string {
  const name = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9.-]/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 64)
  return name === '' ? 'provider' : name
}

function readJson(text: string): object | null {
  try {
    return Object(JSON.parse(text))
  } catch {
    return null
  }
}
