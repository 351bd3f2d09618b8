import type { Command } from 'commander'
import type { AgreementStatus } from '../../agents/witness/network/index.js'
import { asPekkaError, decodeCanonical, genesisSchema, PekkaError } from '../../core/protocol/index.js'
import { random } from '../../host/crypto/index.js'
import type { NetworkHost } from '../../host/network/index.js'
import type { CliContext } from '../context.js'
import { EXIT } from '../exit-codes.js'
import { witnessAddresses } from '../house/state/addresses.js'
import { housePlaces } from '../house/state/places.js'
import { readWitnessAddress } from '../witness/places.js'

/** How long one witness may take, ms. */
const TIMEOUT_MS = 10_000
/** How long it may take to say that it decides alone, once it hasn't answered as a member of a committee, ms. */
const ALONE_TIMEOUT_MS = 3_000

/** A witness that decides alone. It has no committee, epochs or rounds to tell of. */
export interface AloneStatus {
  alone: true
  /** Index of its last commit. */
  commit: number
}

/** `pekka ledger status`: asks witnesses how they are doing, of a committee or alone. */
export function registerStatus(ledger: Command, context: Pick<CliContext, 'json' | 'result' | 'home' | 'env'>): void {
  ledger
    .command('status')
    .description('how the witnesses of the ledger are doing')
    .argument('[address...]', "of a witness, with /p2p/… (default: those of this computer's network)")
    .option('--json', 'as JSON')
    .action(async (named: string[]) => {
      const own = named.length > 0 ? [] : await witnessAddresses(housePlaces(context.home, context.env))
      const addresses = [...named.map(address => readWitnessAddress(address, 'ADDRESS')), ...own]
      if (addresses.length === 0)
        throw new PekkaError('USAGE', { issue: 'Name a witness, or start a network here with "pekka up".' })
      // Loaded here: checking a proof needs no network, and shouldn't wait for its code.
      const { createNetworkHost, peerKeyFromSeed } = await import('../../host/network/index.js')
      const { requestStatus } = await import('../../agents/witness/network/index.js')
      const host = createNetworkHost({ key: await peerKeyFromSeed(random.bytes(32)) })
      await host.start()
      try {
        const answers = await Promise.all(
          addresses.map(async address => {
            const status = await requestStatus(host, address, { timeout: TIMEOUT_MS }).catch(asPekkaError)
            if (!(status instanceof PekkaError)) return { address, ...status }
            return { address, ...((await aloneAt(host, address)) ?? { error: status.code }) }
          })
        )
        if (answers.every(answer => 'error' in answer)) process.exitCode = EXIT.notConnected
        if (context.json) return context.result(JSON.stringify(answers))
        for (const answer of answers) {
          context.result(answer.address)
          const lines =
            'error' in answer
              ? [`no answer (${answer.error})`]
              : 'alone' in answer
                ? aloneLines(answer)
                : statusLines(answer)
          for (const line of lines) context.result(`  ${line}`)
        }
      } finally {
        await host.stop()
      }
    })
}

/** Null: it is no such witness, or doesn't answer. */
async function aloneAt(host: NetworkHost, address: string): Promise<AloneStatus | null> {
  const { LedgerClient } = await import('../../host/network/index.js')
  const client = new LedgerClient({ host }, { addresses: [address], patience: ALONE_TIMEOUT_MS })
  try {
    const { agreement } = genesisSchema.parse(decodeCanonical(await client.genesis()))
    return agreement === undefined ? { alone: true, commit: (await client.time()).index } : null
  } catch {
    return null
  } finally {
    await client.stop()
  }
}

/** What is known of a witness that decides alone, a line each. */
export const aloneLines = ({ commit }: AloneStatus): string[] => [
  `height: commit ${commit}`,
  'one witness decides alone: what it has written is final, nobody else vouches for it, and there are no epochs or rounds',
  'what waits, and how long that takes, is in its metrics'
]

const megabytes = (bytes: number): string => `about ${(bytes / 1e6).toFixed(1)} MB on disk`

/** A status in words, a line each. */
export function statusLines(status: AgreementStatus): string[] {
  const { commit, certified, epoch, round, committee, peers, writes, mempool, waiting, finalityP50, finalityP95 } =
    status
  const { first, historyBytes } = status
  const { equivocated } = status
  const keys = new Set(committee.map(({ key }) => key))
  const members = peers.filter(({ key }) => key !== null && keys.has(key)).length
  const times =
    finalityP50 === null || finalityP95 === null
      ? 'no transactions of its own clients yet'
      : `${Math.round(finalityP50)} ms in the middle, ${Math.round(finalityP95)} ms for the slowest twentieth`
  return [
    `height: commit ${commit}, a quorum has vouched for ${certified}`,
    ...(first === undefined || historyBytes === undefined
      ? []
      : [
          `history: ${first === 0 ? 'from the first commit on' : `commits from ${first} on`}, ${megabytes(historyBytes)}`
        ]),
    `epoch ${epoch}, round ${round}: ${writes ? 'writes blocks' : 'follows, and writes no blocks now'}`,
    `committee of ${committee.length}, ${members} of the others connected, ${peers.length - members} observers`,
    `waiting: ${mempool} transactions, ${waiting} blocks`,
    `final after: ${times}`,
    ...equivocated.map(({ key, epoch: of, round: at }) => `witness ${key} equivocated in round ${at} of epoch ${of}`)
  ]
}
