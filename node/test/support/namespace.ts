import { execFileSync } from 'node:child_process'

/** A second host: a network namespace with an address of its own and one wire to this one. Needs root. */
export class Namespace {
  readonly name = `pekka-${process.pid}`
  readonly #wire = `pk${process.pid}`.slice(0, 14)
  readonly #third = 1 + (process.pid % 250)

  /** Our end of the wire. */
  get here(): string {
    return `10.231.${this.#third}.1`
  }

  /** A command and its arguments, so that they run over there: with nothing but the namespace's network. */
  inside(...command: string[]): string[] {
    return ['nsenter', `--net=/run/netns/${this.name}`, ...command]
  }

  start(): void {
    const ip = (...args: string[]) => execFileSync('ip', args, { stdio: 'pipe' })
    ip('netns', 'add', this.name)
    ip('link', 'add', this.#wire, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', this.name)
    ip('addr', 'add', `${this.here}/24`, 'dev', this.#wire)
    ip('link', 'set', this.#wire, 'up')
    ip('-n', this.name, 'addr', 'add', `10.231.${this.#third}.2/24`, 'dev', 'eth0')
    ip('-n', this.name, 'link', 'set', 'eth0', 'up')
    ip('-n', this.name, 'link', 'set', 'lo', 'up')
  }

  stop(): void {
    execFileSync('ip', ['netns', 'del', this.name], { stdio: 'pipe' })
  }
}
