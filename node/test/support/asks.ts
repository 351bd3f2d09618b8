import { encodeSigned, signTransaction, type AskView, type Signer } from '@pekka/node/protocol'

const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)

interface AskInit {
  network: Uint8Array
  provider: Uint8Array
  agent: Signer
  expiry: number
  /** The machine's. */
  name?: string
  /** What differs from one core with a gibibyte at a thousandth of a credit. */
  change?: Partial<AskView['ask']>
}

/** An ask as a bridge shows it, signed by its agent. */
export async function askView({
  network,
  provider,
  agent,
  expiry,
  name = 'machine',
  change = {}
}: AskInit): Promise<AskView> {
  const ask: AskView['ask'] = {
    ask: bytes(4),
    nonce: new Uint8Array(16),
    image: { name: 'base', digest: bytes(5) },
    contentDigest: bytes(6),
    resources: { milliCpus: 1000, memoryBytes: 1 << 30, diskBytes: 1 << 30, gpu: null },
    concurrency: 1,
    pricePerSecond: 1000n,
    holdPricePerSecond: null,
    pricePerGiB: 0n,
    isolation: 2,
    runtime: 'none',
    cpuClass: 'x86-64-v3',
    kemKey: bytes(7),
    kemExpiry: expiry,
    expiry,
    ...change
  }
  const content = {
    ...{ v: 1 as const, network, account: provider, key: agent.publicKey, sequence: 0, previous: null },
    parents: [bytes(8)],
    expiry,
    body: { kind: 'ask' as const, ask }
  }
  const transaction = encodeSigned(await signTransaction(content, [agent]))
  const about = { name, operator: null, peerKey: bytes(3), bond: 0n, completed: 0, failed: 0 }
  return { ask, provider: { provider, ...about }, transaction, running: 0 }
}
