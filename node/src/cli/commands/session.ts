import type { Command } from 'commander'
import {
  DEFAULT_IMAGE,
  billCredits,
  credits,
  describeEnd,
  describeRefund,
  duration,
  type CellEnd,
  type PekkaClient,
  type Quote,
  type RemoteSession,
  type SessionObserver,
  type TaskRequest,
  type TaskUpdate
} from '../../core/client/index.js'
import {
  CREDIT,
  MAX_SESSION_MS,
  PekkaError,
  isEnded,
  shortId,
  toHex,
  type Program,
  type SessionTerms
} from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { EXIT } from '../exit-codes.js'
import { runningNetwork } from '../house/network.js'
import { readCap, readCpus, readMemory, readTime } from '../task/options.js'
import { SHOWN_ID } from '../task/outcome.js'
import { Printer } from '../task/printer.js'
import { loadProgram } from '../task/program.js'
import { missingProof, saveReceipt } from '../task/receipts.js'
import { findTask, withSession } from '../task/session.js'

interface OpenOptions {
  image: string
  cap: string
  memory?: string
  cpus?: string
  time?: string
  idle: string
  life: string
}

type Cells = Extract<Program, { kind: 'cells' }>

/** What a session may cost when nobody said, micro-credits: an hour at the default price of a machine is 3.6. */
const DEFAULT_CAP = CREDIT * 5n

/** What the machine runs first; whatever the user sends comes after it. */
const NOTHING_YET: Cells = { kind: 'cells', cells: [{ id: 'open', source: '', tags: [] }], stopOnError: true }

export function register(program: Command, context: CliContext): void {
  const session = program
    .command('session')
    .description('keep a machine, so that later cells see what earlier ones made')
  session
    .command('open')
    .description('find a machine and keep it; prints the id that the others take')
    .option('--image <name>', 'environment', DEFAULT_IMAGE)
    .option('--cap <credits>', 'spend at most', credits(DEFAULT_CAP))
    .option('--memory <size>', 'memory, e.g. 8GB')
    .option('--cpus <number>', 'CPUs')
    .option('--time <time>', 'stop a single run after this, e.g. 30min')
    .option('--idle <time>', 'let it go when nothing was run for this long', '10min')
    .option('--life <time>', 'let it go after this in any case', '2h')
    .action(async (options: OpenOptions) => {
      process.exitCode = await open(context, options)
    })
  session
    .command('run')
    .description('run FILE.py, FILE.ipynb or -c CODE in it, after all that ran there before')
    .argument('<session>', 'the beginning of its id')
    .argument('[file]', 'a Python file, run as one cell, or a notebook')
    .option('-c, --code <code>', 'this code')
    .action(async (prefix: string, file: string | undefined, options: { code?: string }) => {
      process.exitCode = await run(context, prefix, file, options.code)
    })
  session
    .command('interrupt')
    .description('stop what runs in it, as Ctrl-C does; what earlier cells made stays')
    .argument('<session>', 'the beginning of its id')
    .action(async (prefix: string) => {
      process.exitCode = await interrupt(context, prefix)
    })
  session
    .command('restart')
    .description('a fresh Python on the same machine; what cells and files there were is gone')
    .argument('<session>', 'the beginning of its id')
    .action(async (prefix: string) => {
      process.exitCode = await restart(context, prefix)
    })
  session
    .command('close')
    .description('let the machine go; what is left of the cap comes back')
    .argument('<session>', 'the beginning of its id')
    .action(async (prefix: string) => {
      process.exitCode = await close(context, prefix)
    })
}

/** A session outlives its command; a network that was started for one alone would take it along. */
const needNetwork = (context: CliContext): Promise<unknown> => runningNetwork(context)

async function open(context: CliContext, options: OpenOptions): Promise<number> {
  const cap = readCap(options.cap)
  const request: TaskRequest & { image: string; session: SessionTerms } = {
    program: NOTHING_YET,
    image: options.image,
    cap,
    session: readTerms(options),
    ...(options.memory === undefined ? {} : { memoryBytes: readMemory(options.memory) }),
    ...(options.cpus === undefined ? {} : { milliCpus: readCpus(options.cpus) }),
    ...(options.time === undefined ? {} : { wallMs: readTime(options.time) }),
    note: { v: 1, title: 'session', kind: 'selection', path: null, cells: [] }
  }
  await needNetwork(context)
  return await withSession(
    context,
    async ({ client }) => {
      const quote = await client.quote(request)
      context.say(describeQuote(quote, cap, request.session))
      const task = await client.submit(request, quote)
      return await whenReady(context, await client.session(task), async () => {
        context.say(`Open until you close it: pekka session run ${shortId(task, SHOWN_ID)} FILE.py`)
        context.result(context.json ? { session: toHex(task) } : shortId(task, SHOWN_ID))
        return EXIT.ok
      })
    },
    { cap }
  )
}

async function run(
  context: CliContext,
  prefix: string,
  file: string | undefined,
  code: string | undefined
): Promise<number> {
  const program = await readCells(file, code)
  const printer = new Printer(context, { json: context.json })
  let mine: number | null = null
  const events: SessionObserver['events'] = async (index, batch) => {
    if (index === mine) await printer.print(batch)
  }
  return await inSession(
    context,
    prefix,
    async remote => {
      mine = await remote.send({ program })
      return finish(context, await orStopped(context, remote.ended(mine)))
    },
    { events }
  )
}

const interrupt = (context: CliContext, prefix: string): Promise<number> =>
  inSession(context, prefix, async remote => {
    const stopped = await remote.interruptAll()
    context.say(stopped === 0 ? 'Nothing runs there.' : 'Interrupted. What earlier cells made is still there.')
    return EXIT.ok
  })

const restart = (context: CliContext, prefix: string): Promise<number> =>
  inSession(context, prefix, async remote => {
    const index = await remote.send({ program: NOTHING_YET, restart: true })
    const end = await orStopped(context, remote.ended(index))
    if (end.reason !== 'completed') return finish(context, end)
    context.say('Restarted. What cells and files there were is gone.')
    return EXIT.ok
  })

/** Finds a session, follows it, and works in it once its machine takes cells. */
async function inSession(
  context: CliContext,
  prefix: string,
  work: (remote: RemoteSession) => Promise<number>,
  observer?: SessionObserver
): Promise<number> {
  await needNetwork(context)
  return await withSession(context, async ({ client }) => {
    const { task } = await findSession(client, prefix)
    return await whenReady(context, await client.session(task, observer), work)
  })
}

async function whenReady(
  context: CliContext,
  remote: RemoteSession,
  work: (remote: RemoteSession) => Promise<number>
): Promise<number> {
  try {
    await orStopped(context, remote.ready())
    return await work(remote)
  } finally {
    remote.stop()
  }
}

async function close(context: CliContext, prefix: string): Promise<number> {
  await needNetwork(context)
  return await withSession(context, async ({ client }) => {
    const { task, view } = await findSession(client, prefix)
    if (view === null || !isEnded(view.state)) await client.closeSession(task)
    const follower = await client.follow(task, {})
    try {
      const ended = await orStopped(context, follower.ended)
      await tellClosed(context, client, task, ended)
      return ended.phase.phase === 'settled' ? EXIT.ok : EXIT.noMachine
    } finally {
      follower.stop()
    }
  })
}

/** What it cost comes first: the receipt may wait for the ledger's proof, and its bridge may be gone by then. */
export async function tellClosed(
  context: Pick<CliContext, 'home' | 'say'>,
  client: Pick<PekkaClient, 'receipt'>,
  task: Uint8Array,
  ended: TaskUpdate
): Promise<void> {
  context.say(describeClosed(task, ended))
  const receipt = await client.receipt(task, ended.finished)
  await saveReceipt(context.home, receipt)
  const missing = missingProof(receipt)
  if (missing !== null) context.say(missing)
}

async function findSession(client: PekkaClient, prefix: string) {
  const found = await findTask(client, prefix)
  if (found.view !== null && found.view.offer.session === null)
    throw new PekkaError('USAGE', { issue: `${prefix} is a task that ends with its program, not a session.` })
  return found
}

async function readCells(file: string | undefined, code: string | undefined): Promise<Cells> {
  if ((file === undefined) === (code === undefined))
    throw new PekkaError('USAGE', { issue: 'Name a file, or write code behind -c.' })
  if (file === undefined) return oneCell(code ?? '')
  const { program } = await loadProgram(file, [])
  return program.kind === 'cells' ? program : oneCell(new TextDecoder().decode(program.source))
}

const oneCell = (source: string): Cells => ({
  kind: 'cells',
  cells: [{ id: 'cell', source, tags: [] }],
  stopOnError: true
})

function readTerms({ idle, life }: OpenOptions): SessionTerms {
  const lifeMs = Math.min(readTime(life, '--life'), MAX_SESSION_MS)
  return { idleMs: Math.min(readTime(idle, '--idle'), lifeMs), lifeMs }
}

function describeQuote({ candidates, most }: Quote, cap: bigint, { idleMs, lifeMs }: SessionTerms): string {
  const hold = candidates.map(({ ask }) => ask.holdPricePerSecond ?? 0n).reduce((a, b) => (a > b ? a : b))
  const prices = `${credits(most)} credits a second while it runs, ${credits(hold)} while it waits`
  return `${prices}, at most ${credits(cap)} · ends after ${duration(idleMs)} without a cell, or ${duration(lifeMs)} in all`
}

/** A refusal to go on is the cell's; its session stays. */
function finish(context: CliContext, { reason, detail, exitCode, usage }: CellEnd): number {
  const { title, facts, advice } = describeEnd(reason, detail, exitCode)
  context.say([title, ...facts, duration(usage.wallMs)].join('  '))
  if (advice !== null) context.say(`  ${advice}`)
  if (reason === 'completed') return EXIT.ok
  return exitCode ?? 1
}

function describeClosed(task: Uint8Array, { phase, item }: TaskUpdate): string {
  const paid = billCredits(item?.view?.paid ?? 0n)
  const back = billCredits(item?.view?.refunded ?? 0n)
  const money = `${paid} credits, ${back} came back`
  if (phase.phase === 'refunded') return `${describeRefund(phase.reason)}. ${money}.`
  return `Closed. ${money}  receipt: pekka receipt ${shortId(task, SHOWN_ID)}`
}

/** Ctrl-C leaves the session as it is. */
function orStopped<T>(context: CliContext, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(context.signal.reason)
    if (context.signal.aborted) stop()
    context.signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => context.signal.removeEventListener('abort', stop))
  })
}
