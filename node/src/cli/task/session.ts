import { join } from 'node:path'
import { io } from 'socket.io-client'
import { PekkaClient, comeBack, type LiveFactory } from '../../core/client/index.js'
import { PekkaError, SOCKET_PATH, toHex, viewKeyFrom } from '../../core/protocol/index.js'
import { createPrimitives, random, readSigner, systemClock, writeSigner } from '../../host/crypto/index.js'
import type { CliContext } from '../context.js'
import { openNetwork, type OpenNetwork } from '../house/network.js'
import { WalletSocket } from './wallet-socket.js'

/** A signed-in command line: the client of this home's bridge, and its wallet. */
export interface Session {
  client: PekkaClient
  wallet: WalletSocket
  network: OpenNetwork
  close: () => Promise<void>
}

export interface SessionInit {
  /** What one task of this session may cost, micro-credits: the user has named it. */
  cap?: bigint
}

/** Opens a network (the one that runs, or a temporary one) and signs in as this command line's own delegate. */
export async function openSession(
  context: Pick<CliContext, 'home' | 'env' | 'signal'>,
  init: SessionInit = {}
): Promise<Session> {
  const network = await openNetwork(context)
  try {
    const wallet = new WalletSocket({ path: network.wallet.socket })
    const signer = await ownKey(join(context.home, 'wallet', 'cli-key.json'))
    const grant = await wallet.delegate(signer.publicKey, init.cap)
    const identity = {
      network: grant.network,
      account: grant.account,
      bridge: grant.bridge,
      signer,
      viewKey: viewKeyFrom(grant.viewKey)
    }
    const client = new PekkaClient(
      {
        fetch,
        live: liveSocket(network.bridge),
        primitives: createPrimitives(),
        clock: systemClock,
        // All tasks of the account, whichever browser sent them (R38).
        owner: { key: grant.owner, sign: async challenge => (await wallet.signToken(challenge)).signature }
      },
      { base: network.bridge, identity }
    )
    const close = async (): Promise<void> => {
      client.close()
      await network.close()
    }
    return { client, wallet, network, close }
  } catch (error) {
    await network.close()
    throw error
  }
}

/** Runs `work` in a session and lets go of it whatever happens. */
export async function withSession<T>(
  context: CliContext,
  work: (session: Session) => Promise<T>,
  init: SessionInit = {}
): Promise<T> {
  const session = await openSession(context, init)
  try {
    return await work(session)
  } finally {
    await session.close()
  }
}

/** Pauses between tries to reach the bridge, ms. */
const RETRY_MS = { first: 200, longest: 3_000 }

/** socket.io to the bridge, which comes back however it was cut off. */
export const liveSocket =
  (base: string): LiveFactory =>
  token => {
    const socket = io(base, {
      path: SOCKET_PATH,
      transports: ['websocket'],
      autoConnect: false,
      reconnectionDelay: RETRY_MS.first,
      reconnectionDelayMax: RETRY_MS.longest,
      auth: done => {
        // Without a token the bridge refuses, and the next try asks again.
        token().then(
          value => done({ token: value }),
          () => done({})
        )
      }
    })
    return comeBack(socket, { later: setTimeout, ...RETRY_MS })
  }

/** The command line's own Ed25519 key; its lane is this installation's. */
async function ownKey(path: string) {
  try {
    return await readSigner(path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    return await writeSigner(path, random.bytes(32))
  }
}

/** The one task whose id begins with `prefix`. @throws PekkaError TASK_UNKNOWN, USAGE where several do */
export async function findTask(client: PekkaClient, prefix: string) {
  const wanted = prefix.toLowerCase()
  const found = []
  let before: string | null = null
  do {
    const page: Awaited<ReturnType<PekkaClient['tasks']>> = await client.tasks({
      limit: 200,
      ...(before === null ? {} : { before })
    })
    found.push(...page.tasks.filter(({ task }) => toHex(task).startsWith(wanted)))
    before = page.next
  } while (before !== null)
  const [first, second] = found
  if (!first || wanted === '') throw new PekkaError('TASK_UNKNOWN')
  if (second) throw new PekkaError('USAGE', { issue: `Several tasks begin with ${prefix}; give more of the id.` })
  return first
}
