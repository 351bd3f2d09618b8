import { randomBytes } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { Steps } from '@pekka/node/setup/steps'
import { credits } from '@pekka/node/client'
import { PRACTICE_CREDITS } from '@pekka/node/ledger'
import { PekkaError } from '@pekka/node/protocol'
import type { Command } from 'commander'
import type { CliContext } from '../../context.js'
import { pekkaVersion } from '../../version.js'
import { onDesktop, openBrowser } from '../browser.js'
import { LAB_PORT } from '../constants.js'
import { copyExamples, offerExamples } from '../state/examples.js'
import { housePlaces, type HousePlaces } from '../state/places.js'
import type { OutsideInit } from '../state/outside.js'
import { reservePort, type Reservation } from '../ports.js'
import { labUrlFile, reside } from '../state/residence.js'
import { collect } from '../../task/options.js'
import { readWitnessAddress } from '../../witness/places.js'
import { witnessCount } from '../processes/witnesses.js'

/** The example that a start opens. */
const FIRST = 'hello.ipynb'

interface UpOptions {
  dir?: string
  port: string
  listen?: string
  witnesses?: number
  genesis?: string
  witness?: string[]
  browser: boolean
}

export function register(program: Command, context: CliContext): void {
  program
    .command('up')
    .description('start the network and JupyterLab on this computer; Ctrl-C stops everything')
    .option('--dir <folder>', "JupyterLab's folder; a new or empty one gets the examples")
    .option('--port <number>', "JupyterLab's port; the next free one is taken", String(LAB_PORT))
    .option('--listen <address>', 'let machines join at this IP address of this computer, see "pekka invite"')
    .option('--witnesses <number>', 'how many witnesses order a new practice network (default: 1)', witnessCount)
    .option(
      '--genesis <file>',
      'use the network of this genesis, whose witnesses others run, instead of a practice network'
    )
    .option('--witness <address>', 'where a witness of that network is; may be repeated, name several', collect)
    .option('--no-browser', "don't open a browser, on a desktop either")
    .option('--json', 'one line of JSON with the addresses when everything serves')
    .action((options: UpOptions) => up(context, options))
}

async function up(context: CliContext, options: UpOptions): Promise<void> {
  const { env, say } = context
  const places = housePlaces(context.home, env)
  const steps = new Steps({ logs: places.logs, quiet: context.quiet, signal: context.signal })
  const work = options.dir === undefined ? places.work : folderOf(options.dir)
  const listen = options.listen === undefined ? undefined : addressOf(options.listen)
  const token = randomBytes(24).toString('hex')
  const lab = async (): Promise<{ port: Reservation; token: string; work: string }> => {
    if (options.dir === undefined) await copyExamples(places.work, join(places.home, 'examples.json'))
    else await offerExamples(work, join(places.home, 'examples'))
    const port = await reservePort(portOf(options.port))
    if (port === undefined) throw new PekkaError('PORT_TAKEN', { port: options.port })
    return { port, token, work }
  }
  const components = { places, steps, say, version: pekkaVersion() }
  const { witnesses } = options
  const outside = outsideOf(options)
  await reside(
    components,
    { kind: 'up', env, lab, listen, witnesses, outside },
    context,
    ({ lab: url, ...address }) => {
      const page = `${url}/lab${existsSync(join(work, FIRST)) ? `/tree/${FIRST}` : ''}?token=${token}`
      void tell(context, places, page, options.browser)
      if (context.json) context.result({ ...address, lab: page, pid: process.pid })
      else context.result(`Open  ${page}`)
      if (outside === undefined)
        say(`${credits(PRACTICE_CREDITS)} practice credits to begin with; they are worth nothing.`)
      say('Ctrl-C stops everything.')
    }
  )
}

async function tell({ env, stderr }: CliContext, places: HousePlaces, page: string, browser: boolean): Promise<void> {
  await writeFile(labUrlFile(places), page, { mode: 0o600 })
  if (browser && onDesktop(env, stderr.isTTY)) await openBrowser(page, `${labUrlFile(places)}.html`)
}

/** A folder that isn't there yet is made. */
function folderOf(path: string): string {
  if (existsSync(path) && !statSync(path).isDirectory())
    throw new PekkaError('USAGE', { issue: `"${path}" is not a folder.` })
  return resolve(path)
}

/** Only libp2p listens there: encrypted, and nothing is served to whom the ledger doesn't know. The HTTP side stays on loopback. */
function addressOf(text: string): string {
  if (isIP(text) === 0) throw new PekkaError('USAGE', { issue: `"${text}" is not an IP address.` })
  return text
}

/** A network that others keep, where somebody names one. */
function outsideOf({ genesis, witness = [] }: UpOptions): OutsideInit | undefined {
  if (genesis === undefined && witness.length === 0) return undefined
  return { genesis, witnesses: witness.map(address => readWitnessAddress(address, '--witness')) }
}

function portOf(text: string): number {
  const port = Number(text)
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    throw new PekkaError('USAGE', { issue: `"${text}" is not a port.` })
  return port
}
