import { randomInt } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { accountId, CREDIT, encodeCanonical, networkId, type CommitView, type Genesis } from '@pekka/node/protocol'
import { STANDARD_PARAMETERS, type ConsensusParameters } from '@pekka/node/consensus'
import { createSigner, writeSigner } from '@pekka/node/host/crypto'
import { createNetworkHost, LedgerClient, peerKeyFromSeed, type NetworkHost } from '@pekka/node/host/network'
import {
  committeeGenesis,
  LastProposed,
  requestStatus,
  type AgreementStatus
} from '../../../../src/agents/witness/network/index.js'
import { WitnessProcess } from '../process.js'
import { createTestNetwork, seed, Sender } from '../support.js'

/** Hash chains of a few seconds' rounds, so that making them costs nothing; long enough for every test here. */
export const TEST_PARAMETERS: ConsensusParameters = { ...STANDARD_PARAMETERS, epochCommits: 8_000, epochRounds: 10_000 }

export interface TestCommittee {
  genesis: Genesis
  bytes: Uint8Array
  network: Uint8Array
  witnesses: TestWitness[]
  /** Funded accounts, one lane each. */
  senders: Sender[]
  /** Kills all of them, and ends their clients. */
  end: () => Promise<void>
}

/** One witness of a committee: its process, and a client of it. */
export class TestWitness {
  readonly process: WitnessProcess
  client: LedgerClient

  constructor(
    readonly folder: string,
    readonly address: string,
    private readonly host: NetworkHost,
    network: { genesis: Genesis; bytes: Uint8Array; witnessSeed: Uint8Array },
    peers: string[],
    how: { main?: URL; registers?: boolean; keepHistory?: string } = {}
  ) {
    const listen = address.replace(/\/p2p\/.*$/, '')
    this.process = new WitnessProcess(folder, network, { listen, peers, ...how })
    this.client = new LedgerClient({ host }, { addresses: [address], patience: 60_000 })
  }

  status(): Promise<AgreementStatus> {
    return requestStatus(this.host, this.address)
  }

  /** Asks until it is so. */
  async until(holds: (status: AgreementStatus) => boolean): Promise<AgreementStatus> {
    for (;;) {
      const status = await this.status().catch(() => null)
      if (status !== null && holds(status)) return status
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }

  /** Its commits up to one. */
  async history(last: number): Promise<CommitView[]> {
    const stop = new AbortController()
    const commits: CommitView[] = []
    for await (const commit of this.client.follow(-1, stop.signal)) {
      commits.push(commit)
      if (commit.header.index === last) stop.abort()
    }
    return commits
  }

  /** A witness that the genesis doesn't name, at an address of the same net. */
  static async beside(
    { genesis, bytes, witnesses }: TestCommittee,
    init: { folder: string; host: NetworkHost; blockSeed: Uint8Array; peerSeed: Uint8Array; peers: string[] }
  ): Promise<TestWitness> {
    const id = peerIdFromPrivateKey(await peerKeyFromSeed(init.peerSeed)).toString()
    const [first] = witnesses
    const net = /^\/ip4\/([^/]+)\//.exec(first?.address ?? '')?.[1] ?? '127.0.0.1'
    const address = `/ip4/${net}/tcp/${7101 + witnesses.length}/p2p/${id}`
    const network = { genesis, bytes, witnessSeed: init.blockSeed }
    return new TestWitness(init.folder, address, init.host, network, init.peers, { registers: true })
  }

  /** Loses the database; the last proposal stays, or goes too. */
  async wipe(everything: boolean): Promise<void> {
    await rm(join(this.folder, 'ledger'), { recursive: true, force: true })
    if (everything) await rm(join(this.folder, 'last-proposed'), { force: true })
  }
}

export interface UnusualWitnesses {
  /** Where a witness finds the others, e.g. behind proxies. */
  peersOf?: (i: number, addresses: readonly string[]) => Promise<string[]>
  /** Another program for a witness. */
  mainOf?: (i: number) => URL | undefined
  /** Each is staked on by an account of its own, with which it registers itself for later epochs. */
  registers?: boolean
  /** What all of them keep; everything, where it is left out. */
  keepHistory?: string
  /** How long a settled task stays open, ms; the usual time, where it is left out. */
  contestMs?: number
  /** Funded accounts; as many as witnesses, where it is left out. */
  senders?: number
}

/** Keys, genesis and folders of a committee on this machine. Nothing is started. */
export async function createCommittee(
  folder: string,
  host: NetworkHost,
  count: number,
  parameters: ConsensusParameters = TEST_PARAMETERS,
  unusual: UnusualWitnesses = {}
): Promise<TestCommittee> {
  const { genesis: usual } = createTestNetwork()
  const { contestWindowMs } = usual.parameters
  const base = {
    ...usual,
    parameters: { ...usual.parameters, contestWindowMs: unusual.contestMs ?? contestWindowMs }
  }
  const { registers = false } = unusual
  const keys = Array.from({ length: unusual.senders ?? count }, () => createSigner(seed()))
  const policies = keys.map(({ publicKey }) => ({ threshold: 1, keys: [publicKey] }))
  const seeds = Array.from({ length: count }, () => seed())
  const [first] = policies
  if (first === undefined) throw new TypeError('a committee has members')
  const owners = registers ? seeds.map(() => seed()) : []
  const ownerPolicies = owners.map(owner => ({ threshold: 1, keys: [createSigner(owner).publicKey] }))
  const genesis = committeeGenesis({
    base: { ...base, accounts: [...policies, ...ownerPolicies].map(policy => ({ policy, balance: 10n * CREDIT })) },
    members: seeds.map((witness, i) => ({ seed: witness, stake: 100n, account: accountId(ownerPolicies[i] ?? first) })),
    parameters,
    ...(registers ? { epochs: 8 } : {})
  })
  const bytes = encodeCanonical(genesis)
  // An address of the loopback net that is nobody else's, so that the ports can be told to everyone before they are open.
  const net = `127.${randomInt(1, 255)}.${randomInt(256)}.${randomInt(1, 255)}`
  const peerSeeds = seeds.map(() => seed())
  const addresses = await Promise.all(
    peerSeeds.map(async (peer, i) => {
      const id = peerIdFromPrivateKey(await peerKeyFromSeed(peer)).toString()
      return `/ip4/${net}/tcp/${7101 + i}/p2p/${id}`
    })
  )
  const witnesses = await Promise.all(
    seeds.map(async (witnessSeed, i) => {
      const home = join(folder, `witness-${i}`)
      await writeSigner(join(home, 'peer.key'), peerSeeds[i] ?? seed())
      await LastProposed.create(join(home, 'last-proposed'))
      const peers = (await unusual.peersOf?.(i, addresses)) ?? addresses
      const main = unusual.mainOf?.(i)
      const owner = owners[i]
      if (owner !== undefined) await writeSigner(join(home, 'account.key'), owner)
      return new TestWitness(home, addresses[i] ?? '', host, { genesis, bytes, witnessSeed }, peers, {
        main,
        registers,
        keepHistory: unusual.keepHistory
      })
    })
  )
  const senders = keys.map((key, i) => new Sender(accountId(policies[i] ?? first), null, key))
  const end = async (): Promise<void> => {
    await Promise.all(witnesses.map(({ client }) => client.stop()))
    await Promise.all(witnesses.map(({ process }) => process.end('SIGKILL')))
  }
  return { genesis, bytes, network: networkId(genesis), witnesses, senders, end }
}

export const startHost = async (listen: string[] = []): Promise<NetworkHost> => {
  const host = createNetworkHost({ key: await peerKeyFromSeed(seed()) }, { listen })
  await host.start()
  return host
}
