import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import { toHex, type Trust } from '@pekka/node/protocol'

/** What the page runs: the very verifier of the extension, with the browser's own Ed25519. */
const PAGE = `
import { fromHex, verifyProof } from '@pekka/node/protocol'
const verifier = {
  verify: async (key, message, signature) => {
    const imported = await crypto.subtle.importKey('raw', key, 'Ed25519', false, ['verify'])
    return await crypto.subtle.verify('Ed25519', imported, signature, message)
  }
}
globalThis.checkProof = async ({ proof, network, members, rounds }) => {
  const bytes = fromHex(proof)
  const trust = { network: fromHex(network), epoch: 0, members: members.map(([key, stake]) => [fromHex(key), BigInt(stake)]) }
  const times = []
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    await verifyProof(bytes, trust, verifier)
    times.push(performance.now() - start)
  }
  return times
}`

/** Times to check a proof in Chromium, ms; null where there is none. */
export async function timesInChromium(proof: Uint8Array, trust: Trust, rounds: number): Promise<number[] | null> {
  const executablePath = process.env['PEKKA_TEST_CHROMIUM']
  if (!executablePath) return null
  const { outputFiles } = await build({
    stdin: { contents: PAGE, resolveDir: fileURLToPath(new URL('.', import.meta.url)), loader: 'js' },
    conditions: ['pekka-source'],
    platform: 'browser',
    format: 'iife',
    bundle: true,
    write: false
  })
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  try {
    const page = await browser.newPage()
    // Pages without an origin have no Web Crypto.
    await page.route('http://localhost/', route => route.fulfill({ contentType: 'text/html', body: '<html></html>' }))
    await page.goto('http://localhost/')
    await page.addScriptTag({ content: outputFiles[0]?.text ?? '' })
    const members = trust.members.map(([key, stake]) => [toHex(key), stake.toString()])
    const asked = { proof: toHex(proof), network: toHex(trust.network), members, rounds }
    // The page's script has put it there.
    return await page.evaluate(
      given => (globalThis as unknown as { checkProof: (asked: unknown) => Promise<number[]> }).checkProof(given),
      asked
    )
  } finally {
    await browser.close()
  }
}
