import assert from 'node:assert/strict'
import { build } from 'esbuild'
import { existsSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'

const CHROMIUM = process.env['PEKKA_CHROMIUM'] ?? '/usr/bin/chromium'

/** Says what is missing; under CI that is a failure, elsewhere the tests are left out. */
function browserMissing(): string | undefined {
  if (existsSync(CHROMIUM) || process.env['CI'] !== undefined) return undefined
  return `no Chromium at ${CHROMIUM} (apt-get install chromium)`
}

/** A module in a real page. */
export interface Bench {
  readonly page: Page
  /** Paths below /beacon/ that something asked for, at the page's own origin or another. */
  readonly beacons: string[]
  /** Address of another origin; what is appended is recorded. */
  readonly beacon: string
}

type OpenBench = Bench & { close: () => Promise<void> }

/** The bench of a suite, for a module named from this folder; call it first in its `describe`. It is there while tests run. */
export function browserBench(entry: string): Bench {
  let open: OpenBench | undefined
  before(async function () {
    const missing = browserMissing()
    if (missing !== undefined) {
      console.log(`      left out: ${missing}`)
      this.skip()
    }
    open = await openBench(entry)
  })
  after(async () => await open?.close())
  const here = (): OpenBench => open ?? assert.fail('the bench is not open yet')
  return {
    get page() {
      return here().page
    },
    get beacons() {
      return here().beacons
    },
    get beacon() {
      return here().beacon
    }
  }
}

/** Bundles a module of this folder and opens it in a real page served over http. */
async function openBench(entry: string): Promise<OpenBench> {
  const bundled = await build({
    entryPoints: [fileURLToPath(new URL(entry, import.meta.url))],
    bundle: true,
    write: false,
    format: 'iife',
    platform: 'browser',
    conditions: ['pekka-source'],
    loader: { '.svg': 'text', '.css': 'empty' },
    define: { 'process.env': '{}', global: 'globalThis' },
    logLevel: 'error'
  })
  const code = bundled.outputFiles[0]?.text ?? ''
  const beacons: string[] = []
  const server = createServer((request, response) => {
    const url = request.url ?? '/'
    if (url.startsWith('/beacon/')) {
      beacons.push(url.slice('/beacon/'.length))
      response.writeHead(200, { 'content-type': 'text/plain', 'access-control-allow-origin': '*' }).end()
    } else if (url === '/bench.js')
      response.writeHead(200, { 'content-type': 'text/javascript; charset=utf-8' }).end(code)
    else if (url === '/') {
      const page = '<!doctype html><meta charset="utf-8"><title>bench</title><body><script src="/bench.js"></script>'
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page)
    } else response.writeHead(404).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo // a listening TCP server has one
  let browser: Browser | undefined
  const close = async (): Promise<void> => {
    await browser?.close()
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  }
  try {
    browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox', '--disable-gpu'] })
    const context = await browser.newContext()
    // Functions given to `evaluate` are compiled by the test runner, which marks their names with this.
    await context.addInitScript('globalThis.__name = value => value')
    const page = await context.newPage()
    await page.goto(`http://127.0.0.1:${port}/`)
    return { page, beacons, beacon: `http://localhost:${port}/beacon/`, close }
  } catch (error) {
    await close()
    throw error
  }
}
