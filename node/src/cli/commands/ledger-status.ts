import type { Command } from 'commander'
import type { AgreementStatus } from '../../agents/witness/network/index.js'
import { asPekkaError, PekkaError } from '../../core/protocol/index.js'
import { random } from '../../host/crypto/index.js'
import type { CliContext } from '../context.js'
import { EXIT } from '../exit-codes.js'
import { readWitnessAddress } from '../witness/places.js'

/** How long one witness may take, ms. */
const TIMEOUT_MS = 10_000

/** `pekka ledger status`: asks witnesses of a committee how they are doing. */
export function registerStatus(ledger: Command, context: Pick<CliContext, 'json' | 'result'>): void {
  ledger
    .command('status')
    .description('how witnesses of a committee are doing')
    .argument('<address...>', 'of a witness, with /p2p/…')
    .option('--json', 'as JSON')
    .action(async (named: string[]) => {
      const addresses = named.map(address => readWitnessAddress(address, 'ADDRESS'))
      // Loaded here: checking a proof needs no network, and shouldn't wait for its code.
      const { createNetworkHost, peerKeyFromSeed } = await import('../../host/network/index.js')
      const { requestStatus } = await import('../../agents/witness/network/index.js')
      const host = createNetworkHost({ key: await peerKeyFromSeed(random.bytes(32)) })
      await host.start()
      try {
        const answers = await Promise.all(
          addresses.map(async address => {
            const status = await requestStatus(host, address, { timeout: TIMEOUT_MS }).catch(asPekkaError)
            return status instanceof PekkaError ? { address, error: status.code } : { address, ...status }
          })
        )
        if (answers.every(answer => 'error' in answer)) process.exitCode = EXIT.notConnected
        if (context.json) return context.result(JSON.stringify(answers))
        for (const answer of answers) {
          context.result(answer.address)
          const lines = 'error' in answer ? [`no answer (${answer.error})`] : statusLines(answer)
          for (const line of lines) context.result(`  ${line}`)
        }
      } finally {
        await host.stop()
      }
    })
}

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
