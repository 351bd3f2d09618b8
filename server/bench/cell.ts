/**
 * `npm run bench -- cell`: what running `print(1)` remotely costs beside running it locally, in one JupyterLab in one run.
 *
 * Click to first output and click to the final prompt are read in the page, from the key press to the change of the page that
 * shows it. `overhead` is the remote time to the final prompt less the local one of the same round. Hops are medians, ms.
 *
 * `--witnesses 4`: four witness processes order the ledger instead of one; the figures are `overhead4_…` then.
 * `--session`: the cell goes to a machine that is kept for the notebook (docs/sessions.md), and the same is measured.
 */
import { loadavg } from 'node:os'
import { dirname } from 'node:path'
import type { PekkaClient } from '@pekka/node/client'
import type { Done, RunHeader } from '@pekka/node/protocol'
import { openSession } from '../../node/src/cli/task/session.js'
import { LabPage } from '../../extension/test/e2e/lab-page.js'
import { startNetwork } from '../../extension/test/e2e/network.js'
import { note, report, round } from './machine.js'
import { holdWarm, providersOf } from './warm.js'

const ROUNDS = Number(process.env['PEKKA_BENCH_ROUNDS'] ?? 30)
/** Between rounds, so that a sandbox is warm again: it boots in about 2.5 s of CPU. */
const REST_MS = 4_000
/** One run that takes longer hangs; it is counted and left out. */
const LIMIT_MS = 20_000
const COLD_ROUNDS = 3
const SESSION = process.argv.includes('--session')
const WITNESSES = process.argv.includes('--witnesses')
  ? Number(process.argv[process.argv.indexOf('--witnesses') + 1])
  : 1
/** Figures of a committee have its size in their names: `overhead4_p50_ms`. */
const AMONG = WITNESSES === 1 ? '' : String(WITNESSES)

interface Times {
  /** Wall clock of the key press, ms since 1970. */
  pressed: number
  first: number
  final: number
  /** When the request that carries the task left the page, after the key press. */
  sent: number | null
}

/** Runs inside the page: `times` resolves when the cell shows its new number. In an object, so that nobody waits for it yet. */
function watchCell(index: number): { times: Promise<Times> } {
  const times = new Promise<Times>(resolve => {
    const cell = document.querySelectorAll('.jp-Notebook .jp-Cell')[index]
    if (!cell) throw new Error('no such cell')
    let pressed = 0
    let busy = false
    let first = 0
    const look = (): void => {
      if (pressed === 0) return
      const prompt = cell.querySelector('.jp-InputPrompt')?.textContent ?? ''
      if (prompt.includes('*')) busy = true
      if (!busy) return
      const now = performance.now()
      if (first === 0 && cell.querySelector('.jp-OutputArea-output')?.textContent?.includes('1') === true) first = now
      if (first === 0 || !/\[\d+\]/.test(prompt)) return
      observer.disconnect()
      const requests = performance
        .getEntriesByType('resource')
        .filter(({ name, startTime }) => /\/v1\/tasks$/.test(name) && startTime >= pressed)
      const sent = requests[0]
      resolve({
        pressed: performance.timeOrigin + pressed,
        first: first - pressed,
        final: now - pressed,
        sent: sent ? sent.startTime - pressed : null
      })
    }
    const observer = new MutationObserver(look)
    observer.observe(cell, { subtree: true, childList: true, characterData: true, attributes: true })
    document.addEventListener(
      'keydown',
      function press(event) {
        if (event.key !== 'Enter') return
        document.removeEventListener('keydown', press, true)
        performance.clearResourceTimings()
        pressed = performance.now()
      },
      true
    )
  })
  return { times }
}

async function timed(lab: LabPage, index: number, keys: string): Promise<Times | null> {
  await lab.select(index)
  await lab.page.evaluate('globalThis.__name = value => value')
  // The key must not overtake the watch on its way into a busy page.
  const watching = await lab.page.evaluateHandle(watchCell, index)
  await lab.page.keyboard.press(keys)
  const times = watching.evaluate(({ times }) => times)
  const late = new Promise<null>(resolve => setTimeout(() => resolve(null), LIMIT_MS).unref())
  return await Promise.race([times, late])
}

/** Where the time of the newest task went, from the clocks of bridge, witness and provider on this one machine. */
async function hopsOf(client: PekkaClient, times: Times): Promise<Record<string, number> | null> {
  const { tasks } = await client.tasks({ limit: 1 })
  const item = tasks[0]
  const view = item?.view
  if (!item || !view || times.sent === null) return null
  let header: RunHeader | null = null
  let done: Done | null = null
  const follower = await client.follow(item.task, {
    events: events => {
      done = events.findLast(event => event.type === 'done') ?? done
    }
  })
  const { finished } = await follower.ended
  follower.stop()
  header = finished?.header ?? null
  if (!header || !finished) return null
  const posted = times.pressed + times.sent
  const ended = header.startedAt + finished.done.t
  return {
    sign: times.sent,
    post: item.submittedAt - posted,
    queue_ledger: view.offeredAt - item.submittedAt,
    start: header.startedAt - view.offeredAt,
    sandbox: finished.done.t,
    stream_render: times.pressed + times.final - ended
  }
}

const percentile = (values: number[], share: number): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
/** A task is over when it is paid; of a kept machine's cell that is at the machine's end. */
const ended = (lab: LabPage): Promise<string> => (SESSION ? lab.line(0, 'Done', /on the kept machine/) : lab.done(0))
const rest = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

const network = await startNetwork(undefined, WITNESSES)
let hung = 0
try {
  const lab = await LabPage.open(network, ['print(1)', 'print(1)'])
  const never = new AbortController().signal
  const session = await openSession({
    home: network.home,
    env: { ...process.env, XDG_RUNTIME_DIR: dirname(network.home) },
    signal: never
  })
  // The first run asks, the second settles the page in.
  if (SESSION) await lab.keep()
  await lab.run(0)
  await ended(lab)
  await timed(lab, 1, 'Control+Enter')
  await rest(REST_MS)

  const remote: Times[] = []
  const local: Times[] = []
  const hops: Record<string, number>[] = []
  for (let i = 0; i < ROUNDS; i++) {
    const here = await timed(lab, 1, 'Control+Enter')
    const there = await timed(lab, 0, 'Control+Shift+Enter')
    if (!here || !there) {
      hung++
      continue
    }
    local.push(here)
    remote.push(there)
    await ended(lab)
    const parts = SESSION ? null : await hopsOf(session.client, there)
    if (parts) hops.push(parts)
    note(
      `round ${i + 1}: remote ${there.first.toFixed(0)} / ${there.final.toFixed(0)} ms, local ${here.first.toFixed(0)} / ${here.final.toFixed(0)} ms, load ${loadavg()[0]?.toFixed(1)}`
    )
    await rest(REST_MS)
  }

  const cold: number[] = []
  const providers = await providersOf(network.home)
  for (let i = 0; i < COLD_ROUNDS && !SESSION; i++) {
    const goOn = await holdWarm(providers)
    if (goOn === undefined) break
    const times = await timed(lab, 0, 'Control+Shift+Enter')
    if (times) cold.push(times.final)
    note(`cold ${i + 1}: ${times?.first.toFixed(0)} / ${times?.final.toFixed(0)} ms`)
    await lab.done(0)
    goOn()
    await rest(2 * REST_MS)
  }
  await session.close()

  const overhead = remote.map(({ final }, i) => final - (local[i]?.final ?? 0))
  const figures: Record<string, number> = {
    [`overhead${AMONG}_p50_ms`]: round(percentile(overhead, 0.5)),
    [`overhead${AMONG}_p95_ms`]: round(percentile(overhead, 0.95)),
    remote_first_p50_ms: round(
      percentile(
        remote.map(({ first }) => first),
        0.5
      )
    ),
    remote_p50_ms: round(
      percentile(
        remote.map(({ final }) => final),
        0.5
      )
    ),
    local_p50_ms: round(
      percentile(
        local.map(({ final }) => final),
        0.5
      )
    ),
    // Sandboxes of a Docker Engine can't be held: without a figure rather than with a warm one.
    ...(cold.length > 0 && { cold_p50_ms: round(percentile(cold, 0.5)) }),
    hung
  }
  const shares = Object.fromEntries(
    Object.keys(hops[0] ?? {}).map(hop => [
      hop,
      round(
        percentile(
          hops.map(h => h[hop] ?? 0),
          0.5
        )
      )
    ])
  )
  report(SESSION ? 'cell --session' : 'cell', remote.length, { ...figures, ...(SESSION ? {} : { hops: shares }) })
} finally {
  await network.stop()
}
