import { createHash } from 'node:crypto'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { createNetworkHost } from '@pekka/node/host/network'

/** The reading side of channel.integration.ts: tells its address, reads to the end, tells what it got. */
const slow = process.argv[2] === 'slow'
const host = createNetworkHost({ key: await generateKeyPair('Ed25519') }, { listen: ['/ip4/127.0.0.1/tcp/0'] })

await host.handle('/pekka/sink/1', async channel => {
  // What is held, without what the collector just hasn't looked at or swept yet.
  const held = async () => {
    globalThis.gc?.()
    await new Promise(resolve => setTimeout(resolve, 5))
    globalThis.gc?.()
    return process.memoryUsage().arrayBuffers
  }
  const before = await held()
  let peak = before
  let messages = 0
  const hash = createHash('sha256')
  for await (const message of channel) {
    hash.update(message)
    messages += 1
    if (slow && messages % 50 === 0) await new Promise(resolve => setTimeout(resolve, 30))
    if (messages % 400 === 0) peak = Math.max(peak, await held())
  }
  await channel.close()
  process.send?.({ messages, digest: hash.digest('hex'), heldBytes: peak - before })
})
await host.start()
process.send?.({ address: host.addresses()[0] })
