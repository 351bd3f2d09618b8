import { z } from 'zod'
import type { CliContext } from '../context.js'

/** What a witness process tells of its start. */
const newsSchema = z.union([
  z.object({
    ready: z.literal(true),
    pid: z.number(),
    addresses: z.array(z.string()),
    seat: z.boolean().nullable(),
    metrics: z.string().optional()
  }),
  z.object({ trouble: z.object({ address: z.string(), code: z.string() }) }),
  z.object({ waiting: z.object({ commit: z.number(), here: z.number(), of: z.number() }) }),
  z.object({ restoring: z.object({ index: z.number(), bytes: z.number() }) }),
  z.object({ failed: z.object({ code: z.string(), data: z.record(z.string(), z.unknown()) }) })
])

type Failure = { code: string; data: Record<string, unknown> }

/** Says what a witness process tells, in words, each thing once. */
export class StartNews {
  failure: Failure | null = null
  readonly #said = new Set<string>()
  #ready = false

  constructor(
    private readonly context: Pick<CliContext, 'json' | 'say' | 'result'>,
    private readonly init: { network: string; folder: string; log: string; others: number }
  ) {}

  hear(message: unknown): void {
    const parsed = newsSchema.safeParse(message)
    if (!parsed.success) return
    const news = parsed.data
    if ('failed' in news) this.failure = news.failed
    else if ('ready' in news) this.#serves(news)
    else if ('trouble' in news) this.#once(troubleWords(news.trouble))
    else if ('restoring' in news)
      this.#once(
        `Takes the state after commit ${news.restoring.index} from another witness, ${mebibytes(news.restoring.bytes)}.`
      )
    else if (!this.#ready) this.#waits(news.waiting)
  }

  #waits({ commit, here, of }: { commit: number; here: number; of: number }): void {
    if (commit >= 0) return this.#once('Fetches what it missed from the others.')
    this.#once(`${here} of ${of} witnesses are here; the ledger begins once more than two thirds of the stake are.`)
    if (here < of && this.init.others === 0)
      this.#once('It knows no other witness: they must dial it, or start it with --join ADDRESS.')
  }

  #serves({ addresses, seat, ...rest }: { addresses: string[]; seat: boolean | null; pid: number }): void {
    this.#ready = true
    const { network, folder, log } = this.init
    if (this.context.json) this.context.result({ ready: true, network, seat, addresses, folder, log, ...rest })
    else for (const address of addresses) this.context.result(`Serves at  ${address}`)
    if (seat === false)
      this.context.say(
        'Its key has no seat in the committee: it follows, and serves reads. To be elected: "pekka witness stake CREDITS".'
      )
    this.context.say(`Network ${network.slice(0, 8)}. Ctrl-C stops it; its log: ${log}`)
  }

  #once(line: string): void {
    if (this.#said.has(line)) return
    this.#said.add(line)
    this.context.say(line)
  }
}

/** What happened with another witness's address, and what to do. */
export function troubleWords({ address, code }: { address: string; code: string }): string {
  if (code === 'NETWORK_MISMATCH')
    return `The witness at ${address} is one of another network: its genesis is another one. Compare the files; all must have the same.`
  if (code === 'LINK_CLOSED' || code === 'LINK_PROTOCOL')
    return `The witness at ${address} hung up (${code}). It is tried again; the log says more.`
  return `Nothing answers at ${address} (${code}). It is tried again; is that witness running, and can it be reached from here?`
}

const mebibytes = (bytes: number): string => `${(bytes / (1 << 20)).toFixed(1)} MiB`
