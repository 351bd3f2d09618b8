import { homeFrom, placesIn } from '@pekka/node/setup/places'

/** What every command of `pekka` is given: where state is, how to speak, when to stop. */
export interface CliContext {
  /** PEKKA_HOME. */
  home: string
  places: ReturnType<typeof placesIn>
  env: NodeJS.ProcessEnv
  stdout: NodeJS.WriteStream
  stderr: NodeJS.WriteStream
  /**
   * Fires at Ctrl-C, SIGTERM, SIGHUP, and when the launcher in front of this process is gone. The reason is an `Interrupted`.
   * A second Ctrl-C makes `hurry` fire.
   */
  signal: AbortSignal
  /** Fires when the user asks a second time: stop without being gentle. */
  hurry: AbortSignal
  /** Answers are JSON (`--json`). */
  json: boolean
  /** PEKKA's own words are left out (`-q`). */
  quiet: boolean
  /** PEKKA's own words: one line to stderr, nothing with `-q`. */
  say: (line: string) => void
  /** What was asked for: to stdout; an object is printed as one line of JSON. */
  result: (what: string | object) => void
}

/** Why a command was stopped. */
export class Interrupted extends Error {
  constructor(readonly signal: NodeJS.Signals | 'disconnect') {
    super(`stopped by ${signal}`)
  }
}

/** Signals that belong together arrive within this time, ms: a terminal sends Ctrl-C to the launcher and to us, and the launcher passes it on. */
const SAME_SIGNAL_MS = 400

const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export interface Stops {
  signal: AbortSignal
  hurry: AbortSignal
}

/** Turns the signals of this process, and the end of the launcher in front of it, into abort signals. */
export function listenForStops(process: NodeJS.Process): Stops {
  const stop = new AbortController()
  const hurry = new AbortController()
  let first = 0
  const onStop = (signal: NodeJS.Signals | 'disconnect'): void => {
    if (!stop.signal.aborted) {
      first = Date.now()
      stop.abort(new Interrupted(signal))
    } else if (Date.now() - first > SAME_SIGNAL_MS) hurry.abort(new Interrupted(signal))
  }
  for (const signal of STOP_SIGNALS) process.on(signal, onStop)
  process.once('disconnect', () => onStop('disconnect'))
  return { signal: stop.signal, hurry: hurry.signal }
}

/** Puts a context together from the process it runs in. */
export function createContext(
  process: NodeJS.Process,
  stops: Stops,
  flags: { json: boolean; quiet: boolean }
): CliContext {
  const { env, stdout, stderr } = process
  const home = homeFrom(env)
  return {
    home,
    places: placesIn(home),
    env,
    stdout,
    stderr,
    ...stops,
    ...flags,
    say: line => {
      if (!flags.quiet) stderr.write(`${line}\n`)
    },
    result: what => {
      const text =
        typeof what === 'string'
          ? what
          : JSON.stringify(what, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value))
      stdout.write(`${text}\n`)
    }
  }
}
