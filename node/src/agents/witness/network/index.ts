/**
 * A witness among others: the ledger is ordered by a committee (core/consensus), over direct streams between its witnesses.
 *
 * ```ts
 * const { ledger, sequencer } = createCommitteeLedger({ store, host, signer, lastProposed, verifier, clock, log }, { genesis, peers })
 * await host.start()
 * await ledger.start()            // resolves at once after the first time; then with the committee's first commit
 * await serveLedger(host, ledger)
 * (await sequencer.status())?.peers
 * await ledger.stop()
 * ```
 *
 * The genesis chooses: with `agreement` the process runs this, without it `createLoneLedger`. README.md has the picture.
 *
 * @packageDocumentation
 */
import { decodeCanonical, genesisSchema, networkId } from '@pekka/node/protocol'
import { createHashing } from '@pekka/node/host/crypto'
import { LocalLedger, type LocalLedgerComponents, type LocalLedgerInit } from '../local-ledger.js'
import { BlockHistory } from './blocks/block-history.js'
import { CommitteeCheckpoints } from './checkpoints/committee-checkpoints.js'
import {
  CommitteeSequencer,
  type CommitteeSequencerComponents,
  type CommitteeSequencerInit
} from './committee-sequencer.js'

export { CommitteeSequencer } from './committee-sequencer.js'
export {
  CommitteeCheckpoints,
  type CommitteeCheckpointsComponents,
  type Notes
} from './checkpoints/committee-checkpoints.js'
export { OwnerLane, type OwnerLaneComponents } from './founding/owner-lane.js'
export { chainEnds, committeeGenesis, type CommitteeGenesisInit, type FirstMember } from './founding/genesis.js'
export { LastProposed, type Proposed } from './blocks/last-proposed.js'
export { beginWithSnapshot, type BeginInit } from './snapshot/begin.js'
export {
  askForSnapshots,
  fetchSnapshot,
  piecesOf,
  serveSnapshots,
  type Offers,
  type SnapshotOffer
} from './snapshot/exchange.js'
export { SnapshotMaker, type KeptSnapshot } from './snapshot/make.js'
export { checkSnapshot, verifySnapshot, type VerifiedSnapshot } from './snapshot/restore.js'
export {
  genesisOfRecords,
  makeRecord,
  readRecord,
  type RecordsGenesisInit,
  type WitnessRecord,
  type WitnessRecordInit
} from './founding/record.js'
export { Registrar, type RegistrarComponents } from './founding/registrar.js'
export { requestStatus, serveStatus, STATUS_PROTOCOL, type AgreementStatus } from './status.js'

export type CommitteeLedgerComponents = Omit<CommitteeSequencerComponents, 'monotonic'> &
  Pick<LocalLedgerComponents, 'log'> & { monotonic?: () => number }

export type CommitteeLedgerInit = LocalLedgerInit & Pick<CommitteeSequencerInit, 'peers' | 'pace' | 'onTrouble'>

/** A ledger that this witness decides together with others. */
export function createCommitteeLedger(
  components: CommitteeLedgerComponents,
  init: CommitteeLedgerInit
): { ledger: LocalLedger; sequencer: CommitteeSequencer; checkpoints: CommitteeCheckpoints } {
  const { monotonic = () => performance.now() } = components
  const genesis = genesisSchema.parse(decodeCanonical(init.genesis))
  const { peers, pace, onTrouble } = init
  const sequencer = new CommitteeSequencer(
    { ...components, monotonic },
    { genesis, network: networkId(genesis), peers, pace, onTrouble }
  )
  const checkpoints = new CommitteeCheckpoints(
    { ...components, hashing: createHashing(), notes: sequencer },
    { genesis }
  )
  const { evidence } = sequencer
  const deciding = new BlockHistory({ store: components.store, status: () => sequencer.status(), evidence })
  const ledger = new LocalLedger({ ...components, sequencer, prover: checkpoints, deciding }, init)
  return { ledger, sequencer, checkpoints }
}
