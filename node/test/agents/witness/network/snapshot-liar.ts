import { z } from 'zod'
import { serveRequests, type NetworkHost } from '@pekka/node/host/network'
import { SNAPSHOT_PROTOCOL } from '../../../../src/agents/witness/network/snapshot/constants.js'
import { startHost } from './committee.js'

/** What is said to whoever asks for a snapshot. */
export interface Lie {
  part: (offset: number) => Promise<Uint8Array>
  size: number
  /** How often it was asked for a part. */
  parts: number
}

const askedSchema = z.union([
  z.object({ type: z.literal('newest') }),
  z.object({ type: z.literal('part'), offset: z.number() })
])

/** A peer that offers what nobody has: of use to anybody, and newer than all others'. */
export async function startLiar(lie: Lie): Promise<{ host: NetworkHost; address: string }> {
  const host = await startHost(['/ip4/127.0.0.1/tcp/0'])
  await serveRequests(
    host,
    SNAPSHOT_PROTOCOL,
    askedSchema,
    async asked => {
      if (asked.type === 'newest') return { snapshot: { index: 2 ** 50, epoch: 1e9, size: lie.size } }
      lie.parts += 1
      return { bytes: await lie.part(asked.offset) }
    },
    { maxMessageBytes: 2 << 20 }
  )
  const [address = ''] = host.addresses()
  return { host, address }
}
