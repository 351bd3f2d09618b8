import { availableParallelism, cpus, totalmem } from 'node:os'

/** What the figures were measured on. */
export const machine = (): object => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  node: process.version,
  platform: `${process.platform}-${process.arch}`
})

/** Prints what belongs on the last line of a bench; everything else goes to stderr. */
export const report = (bench: string, runs: number, figures: Record<string, number | Record<string, number>>): void =>
  void process.stdout.write(`${JSON.stringify({ bench, machine: machine(), runs, figures })}\n`)

export const note = (text: string): void => void process.stderr.write(`${text}\n`)
export const round = (value: number, digits = 1): number => Number(value.toFixed(digits))
