import type { Command } from 'commander'
import { writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import {
  NOTHING,
  credits,
  encodeReceipt,
  size,
  type PekkaClient,
  type Quote,
  type TaskFollower,
  type TaskRequest,
  type TaskUpdate
} from '../../core/client/index.js'
import {
  asPekkaError,
  CREDIT,
  PekkaError,
  parseInput,
  shortId,
  toJson,
  type EventOf
} from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { printable } from './artifacts.js'
import { EXIT } from '../exit-codes.js'
import { RESULTS, placeFiles, shownPath, type ReturnedFile } from '../task/artifacts.js'
import { findFiles } from '../task/files.js'
import { Printer } from '../task/printer.js'
import { choiceForOffers, orNotOffered, type ImageChoice } from '../../core/scan/index.js'
import {
  chooseEnvironment,
  describeMissing,
  loadTables,
  notOffered,
  smallInstead,
  type EnvironmentOptions
} from '../task/environment.js'
import { askYes } from '../task/ask.js'
import { auctionLock, buyAtAuction, checkAuctionLock } from '../task/auction.js'
import { addressesIn, agreedInputs, fetchInputs } from '../task/inputs.js'
import { addPackages, namesIn, requirementsOf } from '../task/packages.js'
import { MissingModule, offerOf } from '../task/missing-module.js'
import { collect, gpuImage, readCap, readCpus, readGpu, readMemory, readTime } from '../task/options.js'
import { SHOWN_ID, describeOutcome } from '../task/outcome.js'
import { loadProgram, type LoadedProgram } from '../task/program.js'
import { NotebookRecorder } from '../task/recorder.js'
import { missingProof, saveReceipt } from '../task/receipts.js'
import { withSession, type Session } from '../task/session.js'
import { runTwice } from '../task/twice.js'

interface RunOptions extends EnvironmentOptions {
  auction?: true
  maxPrice?: string
  input?: string[]
  withInputs?: true
  cap: string
  memory?: string
  cpus?: string
  gpu?: string
  time?: string
  runs: string
  realEntropy?: true
  pins: boolean
  receipt?: string
  out?: string
  file?: string[]
  withFiles?: true
  artifacts?: string | false
}

/** What a task may cost when nobody said, micro-credits (UX: "at most 0.50"). */
const DEFAULT_CAP = CREDIT / 2n

export function register(program: Command, context: CliContext): void {
  program
    .command('run')
    .description('run FILE.py or FILE.ipynb on the network')
    .argument('<file>', 'a Python script or a notebook')
    .argument('[args...]', "the script's own arguments")
    .option('--input <url>', 'fetch this beforehand, for code that reads it: URL or URL=path (repeatable)', collect)
    .option('--with-inputs', 'fetch the https:// addresses beforehand that the code reads by a literal text')
    .option('--image <name>', 'environment (default: the smallest that has what the code imports)')
    .option('--with <package>', 'add a package, or MODULE=PACKAGE: which one has that module (repeatable)', collect)
    .option('--without <module>', 'a module that may be missing (repeatable)', collect)
    .option('--python <path>', 'compare with the packages of this Python (default: the one that you would run)')
    .option('--cap <credits>', 'spend at most', credits(DEFAULT_CAP))
    .option('--auction', 'let machines bid for it; the lowest wins and is paid the second lowest price')
    .option('--max-price <credits>', 'with --auction: most for a second (default: the lowest published price)')
    .option('--memory <size>', 'memory, e.g. 8GB')
    .option('--cpus <number>', 'CPUs')
    .option('--gpu <memory>', 'a graphics processor with this much memory, e.g. 16GB')
    .option('--time <time>', 'stop after this, e.g. 30min')
    .option('--file <path>', 'send this file along; as often as needed', collect)
    .option('--with-files', 'send the files along that the code opens by a literal name')
    .option('--artifacts <folder>', 'put files that come back here; nothing is overwritten')
    .option('--no-artifacts', 'leave them; "pekka artifacts TASK" fetches them')
    .option('--runs <number>', 'run this often (1 or 2) and compare what comes out', '1')
    .option('--real-entropy', 'leave unseeded random numbers unseeded')
    .option('--no-pins', 'let numeric libraries use all a processor can: faster, other last digits')
    .option('--receipt <file>', 'write the receipt here')
    .option('--out <file>', 'write the executed notebook here')
    .option('-q, --quiet', "leave PEKKA's own words out")
    .option('--json', 'one JSON object a line')
    .passThroughOptions()
    .action(async (file: string, args: string[], options: RunOptions) => {
      process.exitCode = await run(context, file, args, options)
    })
}

async function run(context: CliContext, file: string, args: string[], options: RunOptions): Promise<number> {
  // What is wrong with the call is said before anything is started.
  if (!['1', '2'].includes(options.runs))
    throw new PekkaError('USAGE', { issue: `--runs ${options.runs} is not understood; write --runs 2.` })
  if (options.auction === true && options.runs === '2')
    throw new PekkaError('USAGE', {
      issue: '--auction and --runs 2 do not go together: both runs are bought at published prices.'
    })
  if (options.maxPrice !== undefined && options.auction !== true)
    throw new PekkaError('USAGE', { issue: '--max-price goes with --auction.' })
  const reserve = options.maxPrice === undefined ? undefined : readCap(options.maxPrice, '--max-price')
  if (options.auction === true) checkAuctionLock(readCap(options.cap))
  const loaded = await loadProgram(file, args)
  const named = (options.input ?? []).map(text => parseInput(text))
  const wanted = await chooseEnvironment(file, loaded, options, context.env)
  const gpu = options.gpu !== undefined
  const request = readRequest(loaded, file, gpu ? gpuImage(wanted.image) : wanted.image, options)
  const folder = dirname(resolve(file))
  // A script opens files from where it is started; a notebook from where it stands.
  const work = loaded.kind === 'notebook' ? folder : process.cwd()
  const found = await findFiles(
    sourcesOf(loaded.program),
    { folder, work },
    { ...options, file: options.file ?? [], withFiles: options.withFiles === true }
  )
  try {
    const { inputs, lines: addresses } = await agreedInputs(addressesIn(sourcesOf(loaded.program)), {
      named,
      all: options.withInputs === true,
      ask: question => askYes(context, question)
    })
    request.travel = { ...NOTHING, files: found.files }
    const task = async (session: Session): Promise<number> => {
      const again = (image: string) => chooseEnvironment(file, loaded, { ...options, image }, context.env)
      // The small stand-ins have no variant for graphics processors.
      const offered = async () => (await session.client.images()).map(({ name }) => name)
      const choice = gpu ? wanted : await choiceForOffers(wanted, offered, again)
      if (!gpu) request.image = choice.image
      const lines = [...choice.notes, ...describeMissing(choice), ...found.lines, ...addresses]
      const place = { work, writes: found.writes, lines, choice, file, reserve }
      const quote = (): Promise<Quote> => quoteFor(session, request, choice)
      request.inputs = await fetchInputs(context, session.client, inputs)
      request.layer = await addPackages(context, session.client, quote, requirementsOf(choice, options.with), {
        named: namesIn(options.with)
      }).catch((error: unknown) => Promise.reject(orNotOffered(error, choice)))
      return options.runs === '2'
        ? await runTwice(session, context, { loaded, request, lines, out: options.out })
        : await runIn(session, context, loaded, request, options, place)
    }
    return await withSession(context, task, { cap: options.auction ? auctionLock(request.cap) : request.cap })
  } finally {
    await found.close()
  }
}

function readRequest(
  loaded: LoadedProgram,
  file: string,
  image: string,
  options: RunOptions
): TaskRequest & { image: string } {
  return {
    program: loaded.program,
    image,
    cap: readCap(options.cap),
    ...(options.memory === undefined ? {} : { memoryBytes: readMemory(options.memory) }),
    ...(options.cpus === undefined ? {} : { milliCpus: readCpus(options.cpus) }),
    ...(options.gpu === undefined ? {} : { gpu: readGpu(options.gpu) }),
    ...(options.time === undefined ? {} : { wallMs: readTime(options.time) }),
    ...(options.realEntropy === true ? { seed: null } : {}),
    ...(options.pins ? {} : { numeric: 'native' as const }),
    note: { v: 1, title: loaded.name.slice(0, 200), kind: loaded.kind, path: file.slice(0, 1024), cells: [] }
  }
}

async function quoteFor(
  { client }: Session,
  request: TaskRequest & { image: string },
  choice: ImageChoice
): Promise<Quote> {
  try {
    return await client.quote(request)
  } catch (error) {
    const small = smallInstead(error, choice)
    // A variant for graphics processors is built by nobody yet: no advice would help.
    if (request.gpu) throw error
    if (small === undefined) throw notOffered(error, choice)
    request.image = small.image
    choice.label = small.label
    return await client.quote(request)
  }
}

async function runIn(
  session: Session,
  context: CliContext,
  loaded: LoadedProgram,
  request: TaskRequest & { image: string },
  options: RunOptions,
  place: Place
): Promise<number> {
  const { client } = session
  const [quote, { balance }] = await Promise.all([quoteFor(session, request, place.choice), client.account()])
  const machines = `${quote.matching} ${quote.matching === 1 ? 'machine' : 'machines'}`
  const perSecond = `${credits(quote.most)} credits a second`
  const need = options.auction ? auctionLock(request.cap) : request.cap
  if (balance < need) throw new PekkaError('FUNDS_MISSING', { have: balance, need })
  context.say(`${place.choice.label} · ${perSecond} · at most ${credits(request.cap)} · ${machines}`)
  context.say('The provider can read your code and data while it runs.')
  for (const line of place.lines) context.say(line)
  const names = new Map(quote.candidates.map(({ provider }) => [provider.provider.join(), provider.name]))
  const task = options.auction
    ? await buyAtAuction(context, client, { ...request, ...(place.reserve && { reserve: place.reserve }) }, quote)
    : await client.submit(request, quote)

  const printer = new Printer(context, { json: context.json })
  const recorder = new NotebookRecorder({ now: () => Date.now() })
  const missing = new MissingModule()
  let shown = ''
  let left: EventOf<'files'>['files'] = []
  const follower = await client.follow(task, {
    superseded: () => context.say('The machine lost contact; another one tries.'),
    reset: () => {
      recorder.reset()
      missing.reset()
      left = []
    },
    events: async events => {
      for (const event of events) {
        recorder.add(event)
        missing.add(event)
        if (event.type === 'files') left = event.files
      }
      await printer.print(events)
    },
    update: ({ phase }) => {
      const word =
        phase.phase === 'running' ? `Running on ${names.get(phase.provider.join()) ?? shortId(phase.provider)}` : null
      if (word !== null && word !== shown) context.say((shown = word))
    }
  })
  const stopped = stopOnSignal(context, client, task)
  try {
    const ended = await Promise.race([follower.ended, stopped.left, goneFrom(session)])
    if (ended === null) return disconnected(context, task)
    if (typeof ended === 'number') return ended
    if (loaded.notebook && options.out !== undefined) {
      await writeFile(options.out, `${JSON.stringify(recorder.notebook(loaded.notebook), null, 1)}\n`)
    }
    if (left.length > 0 && ended.phase.phase !== 'mismatch')
      await bringBack(context, follower, task, left, options, place)
    const code = await finish(session, context, task, ended, options)
    if (missing.name !== null && ended.finished?.done.outcome === 'user')
      context.say(`  ${offerOf(missing.name, { image: request.image, file: place.file }, await loadTables())}`)
    return code
  } finally {
    stopped.off()
    follower.stop()
  }
}

/** Where the program would have run here, what it says that it writes, and what is said of files before it starts. */
interface Place {
  work: string
  writes: ReadonlySet<string>
  lines: readonly string[]
  choice: ImageChoice
  /** As it was named on the command line. */
  file: string
  /** Of an auction: the most for a second, micro-credits; undefined: the lowest published price. */
  reserve: bigint | undefined
}

/** Fetches the files that a task wrote, and says where they are. */
async function bringBack(
  context: CliContext,
  follower: TaskFollower,
  task: Uint8Array,
  files: readonly ReturnedFile[],
  options: RunOptions,
  { work, writes }: Place
): Promise<void> {
  const total = size(files.reduce((sum, file) => sum + file.size, 0))
  const count = files.length === 1 ? '1 file' : `${files.length} files`
  if (options.artifacts === false)
    return context.say(`${count} · ${total} · to fetch: pekka artifacts ${shortId(task, SHOWN_ID)}`)
  const folder = options.artifacts ?? join(work, RESULTS, shortId(task, SHOWN_ID))
  const beside = options.artifacts === undefined ? { beside: { folder: work, names: writes } } : {}
  const placed = await placeFiles(follower, files, { folder, ...beside })
  context.say(`${count} · ${total}`)
  for (const { name, path, why, size: bytes } of placed.slice(0, 20))
    context.say(path === null ? `  ${printable(name)}: ${why}` : `  ${shownPath(path, process.cwd())}  ${size(bytes)}`)
  if (placed.length > 20) context.say(`  and ${placed.length - 20} more`)
}

const sourcesOf = (program: TaskRequest['program']): string[] =>
  program.kind === 'cells' ? program.cells.map(({ source }) => source) : [new TextDecoder().decode(program.source)]

/** A cancelled task has 30 s to commit what it has (R10), and its end some more to get here, ms. */
const CANCEL_WAIT_MS = 45_000

/**
 * Ctrl-C once cancels the task and waits for what is left of it; twice leaves it. A bridge or a ledger that doesn't answer is not
 * waited for without end: `left` gives the exit code then.
 */
function stopOnSignal(context: CliContext, client: PekkaClient, task: Uint8Array) {
  let leave: (exitCode: number) => void = () => undefined
  const left = new Promise<number>(resolve => (leave = resolve))
  let timer: NodeJS.Timeout | undefined
  const goesOn = (): void => {
    context.say(`The task goes on: pekka logs ${shortId(task, SHOWN_ID)} --follow`)
    leave(EXIT.notConnected)
  }
  const cancel = (): void => {
    context.say('Cancelling; output so far is kept. Ctrl-C again leaves the task alone.')
    timer = setTimeout(goesOn, CANCEL_WAIT_MS)
    client.cancel(task).catch((error: unknown) => {
      const { code, message } = asPekkaError(error)
      if (code !== 'TASK_UNKNOWN') return context.say(`Cancelling failed: ${message} (${code})`)
      context.say('It had not reached the ledger yet. Nothing is charged; the offer is void within a minute.')
      leave(EXIT.cancelled)
    })
  }
  if (context.signal.aborted) cancel()
  else context.signal.addEventListener('abort', cancel, { once: true })
  if (context.hurry.aborted) goesOn()
  else context.hurry.addEventListener('abort', goesOn, { once: true })
  const off = (): void => {
    clearTimeout(timer)
    context.signal.removeEventListener('abort', cancel)
    context.hurry.removeEventListener('abort', goesOn)
  }
  return { left, off }
}

const goneFrom = (session: Session): Promise<null> =>
  new Promise(resolve => session.network.gone.addEventListener('abort', () => resolve(null), { once: true }))

function disconnected(context: CliContext, task: Uint8Array): number {
  context.say(`Not connected any more. The task goes on: pekka logs ${shortId(task, SHOWN_ID)} --follow`)
  return EXIT.notConnected
}

async function finish(
  session: Session,
  context: CliContext,
  task: Uint8Array,
  ended: TaskUpdate,
  options: RunOptions
): Promise<number> {
  const outcome = describeOutcome(task, ended)
  // First of all: a receipt may wait a moment for the ledger's proof.
  context.say(outcome.line)
  if (outcome.advice !== null) context.say(`  ${outcome.advice}`)
  if (ended.phase.phase === 'settled' || ended.phase.phase === 'refunded') {
    const receipt = await session.client.receipt(task, ended.finished)
    await saveReceipt(context.home, receipt)
    const missing = missingProof(receipt)
    if (missing !== null) context.say(missing)
    if (options.receipt !== undefined) await writeFile(options.receipt, encodeReceipt(receipt))
  }
  if (context.json) {
    const { view } = ended.item ?? { view: null }
    const facts = {
      type: 'result',
      task,
      phase: ended.phase.phase,
      exitCode: outcome.exitCode,
      paid: view?.paid ?? 0n,
      refunded: view?.refunded ?? 0n,
      reason: ended.finished?.done.reason ?? null
    }
    context.result(JSON.stringify(toJson(facts)))
  }
  return outcome.exitCode
}
