import { InvalidArgumentError, type Command } from 'commander'
import { credits, parseCredits } from '../../core/client/index.js'
import { PekkaError } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { collect, readCap } from '../task/options.js'
import { readEndpoint, readWitnessAddress, witnessPlaces } from '../witness/places.js'

/** Option of all of them: several witnesses of one person each have a folder of their own. */
const FOLDER = ['--folder <folder>', "its keys and data (default: PEKKA_HOME's witness)"] as const

interface InitOptions {
  folder?: string
  like?: string
  listen?: string
  announce?: string[]
  out?: string
}

interface GenesisOptions {
  out: string
  name: string
  stake?: string
  balance?: string
  fund?: string[]
  faucet?: string
  openDeposit?: string
  taskDeposit?: string
  imageSigner?: string[]
  imageThreshold: number
}

interface StartOptions {
  folder?: string
  genesis?: string
  join?: string[]
  listen?: string
  announce?: string[]
  snapshot?: string
  metrics?: string
  keepHistory?: string
}

interface SnapshotOptions {
  folder?: string
  out: string
  at?: string[]
  genesis?: string
}

interface StakeOptions {
  folder?: string
  at?: string[]
}

/** `pekka witness`: keys and records, the genesis of a network of several people, and running one of its witnesses. */
export function register(program: Command, context: CliContext): void {
  const witness = program.command('witness').description('run a witness of a network whose ledger several people keep')
  witness
    .command('init')
    .description('make its keys, where there are none, and its public record for the genesis')
    .option('--like <record>', 'record of another witness of the same network; the first one goes without')
    .option('--listen <address:port>', 'where it will listen, for example 0.0.0.0:7100')
    .option('--announce <address>', 'where others reach it, if elsewhere: /ip4/…/tcp/…; may be repeated', collect)
    .option('--out <file>', 'write the record here too')
    .option(...FOLDER)
    .option('--json', 'the record as one line of JSON')
    .action((options: InitOptions) => init(context, options))
  witness
    .command('genesis')
    .description('make the genesis of a network from the records of its first witnesses')
    .argument('<record...>', 'a record, or RECORD=CREDITS for another stake than the others')
    .requiredOption('--out <file>', 'the genesis')
    .option('--name <name>', 'what the network is called', 'pekka')
    .option('--stake <credits>', 'what is staked on each witness (default: 100)')
    .option('--balance <credits>', "what each witness's account has besides (default: 10)")
    .option('--fund <key=credits>', 'an account, by its public key, and what it begins with; may be repeated', collect)
    .option('--faucet <credits>', 'what anybody may draw practice credits from (default: none)')
    .option(
      '--open-deposit <credits>',
      'what who opens an account for somebody locks for it; then nobody opens one by the faucet alone (default: none)'
    )
    .option('--task-deposit <credits>', 'what each task locks until it is closed, when it comes back (default: none)')
    .option('--image-signer <key>', "public key of who signs the network's list of images; may be repeated", collect)
    .option('--image-threshold <number>', 'how many of those keys must sign', positive, 1)
    .option('--json', 'what was made as JSON')
    .action((records: string[], options: GenesisOptions) => genesis(context, records, options))
  witness
    .command('start')
    .description('run it until Ctrl-C; a later start needs no options')
    .option('--genesis <file>', 'the genesis of its network; needed the first time')
    .option(
      '--join <address>',
      'another witness, /ip4/…/tcp/…/p2p/…; may be repeated, one that answers is enough',
      collect
    )
    .option('--listen <address:port>', 'where it listens (default: a free port of 127.0.0.1, the same at later starts)')
    .option('--announce <address>', 'where others reach it, if elsewhere; may be repeated', collect)
    .option('--snapshot <file>', 'begin with it where there is no ledger yet, instead of with what another witness has')
    .option(
      '--keep-history <how much>',
      'delete commits that are older: 30d, 36h, a number of commits, or all (default: all)'
    )
    .option('--metrics <address:port>', 'serve GET /metrics there')
    .option(...FOLDER)
    .option('--json', 'what it says when it is ready, as JSON')
    .action(async (options: StartOptions) => {
      process.exitCode = await start(context, options)
    })
  witness
    .command('snapshot')
    .description('fetch the newest snapshot of the ledger from a witness, and check it')
    .requiredOption('--out <file>', 'where it goes')
    .option('--at <address>', "ask this witness instead of this folder's own; may be repeated", collect)
    .option('--genesis <file>', "the genesis of the network (default: this folder's)")
    .option(...FOLDER)
    .option('--json', 'as JSON')
    .action((options: SnapshotOptions) => snapshot(context, options))
  for (const [name, description] of [
    ['stake', 'stake credits on it, so that it is elected; it counts two epochs later'],
    ['unstake', 'take stake back; its seat goes two epochs later, the credits come once nothing can be held against it']
  ] as const) {
    witness
      .command(name)
      .description(description)
      .argument('<credits>', 'how many')
      .option('--at <address>', "send it to this witness instead of this folder's own; may be repeated", collect)
      .option(...FOLDER)
      .option('--json', 'as JSON')
      .action((amount: string, options: StakeOptions) => stake(context, name, amount, options))
  }
}

// Each loads what it needs itself: "pekka witness --help" shouldn't wait for libp2p.

async function init(context: CliContext, options: InitOptions): Promise<void> {
  const { addressAt, initWitness, peerOf } = await import('../witness/init.js')
  const { rememberListen } = await import('../witness/start.js')
  const { replaceFile } = await import('../../host/files/index.js')
  const places = witnessPlaces(context.home, options.folder)
  const { announce = [] } = options
  const endpoint = options.listen === undefined ? null : readEndpoint(options.listen)
  const peer = await peerOf(places)
  const announced = announce.map(address =>
    readWitnessAddress(address.includes('/p2p/') ? address : `${address}/p2p/${peer}`, '--announce')
  )
  const addresses = announced.length > 0 || endpoint === null ? announced : [await addressAt(places, endpoint)]
  const record = await initWitness(places, { like: options.like, addresses })
  if (endpoint !== null) await rememberListen(places, endpoint)
  if (options.out !== undefined) await replaceFile(options.out, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o644 })
  if (context.json) return context.result({ ...record, folder: places.folder, peer })
  context.result(`Record  ${options.out ?? places.record}`)
  context.say(`Witness ${record.key.slice(0, 8)}, keys in ${places.folder}: keep them, and nobody else may have them.`)
  context.say(
    options.like === undefined
      ? 'Give the record to the others: each makes theirs with "pekka witness init --like RECORD". Then "pekka witness genesis RECORD…".'
      : 'Give the record to whoever makes the genesis.'
  )
}

async function genesis(context: CliContext, records: string[], options: GenesisOptions): Promise<void> {
  const { DEFAULT_BALANCE, DEFAULT_STAKE, makeGenesis } = await import('../witness/genesis.js')
  const each = options.stake === undefined ? DEFAULT_STAKE : readCap(options.stake, '--stake')
  const made = await makeGenesis({
    name: options.name,
    witnesses: records.map(text => {
      const [, path = text, stake] = /^(.*)=([0-9.]+)$/.exec(text) ?? []
      return { path, stake: stake === undefined ? each : readCap(stake, `The stake in ${text}:`) }
    }),
    balance: options.balance === undefined ? DEFAULT_BALANCE : readAmount(options.balance, '--balance'),
    funds: (options.fund ?? []).map(readFund),
    faucet: options.faucet === undefined ? 0n : readAmount(options.faucet, '--faucet'),
    deposits: {
      open: options.openDeposit === undefined ? 0n : readAmount(options.openDeposit, '--open-deposit'),
      task: options.taskDeposit === undefined ? 0n : readAmount(options.taskDeposit, '--task-deposit')
    },
    images: { keys: options.imageSigner ?? [], threshold: options.imageThreshold },
    out: options.out
  })
  const { network, supply, witnesses } = made
  const addresses = witnesses.flatMap(({ record }) => record.addresses)
  if (context.json)
    return context.result({ network, supply, genesis: options.out, witnesses: witnesses.length, addresses })
  context.result(`Network  ${network}`)
  const bears = witnesses.length < 4 ? 'none may fail' : 'less than a third of the stake may fail or lie'
  context.say(`Witnesses: ${witnesses.length}; ${bears}. ${credits(supply)} credits in all, for ever.`)
  context.say(`Everyone starts with the same file: pekka witness start --genesis ${options.out}${joins(addresses)}`)
}

const joins = (addresses: readonly string[]): string =>
  addresses.length === 0 ? ' --join ADDRESS' : addresses.map(address => ` --join ${address}`).join('')

async function start(context: CliContext, options: StartOptions): Promise<number> {
  const { startWitness } = await import('../witness/start.js')
  return await startWitness(context, witnessPlaces(context.home, options.folder), {
    genesis: options.genesis,
    join: (options.join ?? []).map(address => readWitnessAddress(address, '--join')),
    listen: options.listen,
    announce: options.announce ?? [],
    snapshot: options.snapshot,
    keepHistory: options.keepHistory,
    metrics: options.metrics === undefined ? undefined : readEndpoint(options.metrics)
  })
}

async function stake(
  context: CliContext,
  what: 'stake' | 'unstake',
  text: string,
  options: StakeOptions
): Promise<void> {
  const { withLedger } = await import('../witness/ledger.js')
  const { stakeOn, unstakeFrom } = await import('../witness/stake.js')
  const places = witnessPlaces(context.home, options.folder)
  const amount = readCap(text, `pekka witness ${what}`)
  const at = (options.at ?? []).map(address => readWitnessAddress(address, '--at'))
  const act = what === 'stake' ? stakeOn : unstakeFrom
  const done = await withLedger(places, at, ledger => act(places, ledger, amount))
  if (context.json) return context.result({ [what]: amount, signed: done === 'signed' })
  context.result(
    done === 'signed'
      ? `${credits(amount)} credits ${what}d.`
      : `${credits(amount)} credits ${what}d, by what an earlier command had sent. Nothing was signed again; for as much once more, run this again.`
  )
  context.say(
    what === 'stake'
      ? 'It can be elected for the second epoch from now, while "pekka witness start" runs and registers it. "pekka ledger status ADDRESS" shows the committee.'
      : 'Its seat goes with the second epoch from now; keep it running until then.'
  )
}

async function snapshot(context: CliContext, options: SnapshotOptions): Promise<void> {
  const { saveSnapshot } = await import('../witness/snapshot.js')
  const places = witnessPlaces(context.home, options.folder)
  const at = (options.at ?? []).map(address => readWitnessAddress(address, '--at'))
  const { checkpoint, size } = await saveSnapshot(places, { ...options, at }, context.signal)
  const { index, epoch, timestamp } = checkpoint
  if (context.json) return context.result({ out: options.out, index, epoch, timestamp, size })
  context.result(`Snapshot  ${options.out}`)
  context.say(
    `The state after commit ${index}, the last of epoch ${epoch}, ${new Date(timestamp).toISOString()}; a quorum of its witnesses has signed it.`
  )
}

function readFund(text: string): { key: string; balance: bigint } {
  const [, key, amount] = /^([0-9a-f]{64})=([0-9.]+)$/i.exec(text) ?? []
  if (key === undefined || amount === undefined)
    throw new PekkaError('USAGE', {
      issue: `--fund ${text} is not understood; write a public key and credits: --fund 3b6a…29=100.`
    })
  return { key, balance: readAmount(amount, '--fund') }
}

function readAmount(text: string, option: string): bigint {
  const amount = parseCredits(text)
  if (amount === null)
    throw new PekkaError('USAGE', { issue: `${option} ${text} is not understood; write for example ${option} 100.` })
  return amount
}

function positive(value: string): number {
  if (!/^[1-9][0-9]?$/.test(value)) throw new InvalidArgumentError('a number from 1 on')
  return Number(value)
}
