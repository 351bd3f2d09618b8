/** Shares of an image's build, as measured on two cores and a line of 100 Mbit/s: download, install, byte code. */
const SHARES = { downloaded: 0.75, installed: 0.85, compiled: 0.98 }

const UNITS: Record<string, number> = { KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }

/** How far the build of an image is, read from what its tools say. */
export class BuildMeter {
  readonly #sizes = new Map<string, number>()
  #loaded = 0
  #fraction = 0

  /** @returns the line for people, with its share of the whole from 0 to 1, which never goes back; null where nobody knows yet */
  read(step: string, text: string): { text: string; fraction: number | null } {
    const [, started, size = '', unit = ''] = /^Downloading (\S+) \(([\d.]+)(KiB|MiB|GiB)\)/.exec(text) ?? []
    const [, ended] = /^Downloaded (\S+)/.exec(text) ?? []
    if (started !== undefined) this.#sizes.set(started, Number(size) * (UNITS[unit] ?? 1))
    if (ended !== undefined) this.#loaded += this.#sizes.get(ended) ?? 0
    const total = [...this.#sizes.values()].reduce((sum, bytes) => sum + bytes, 0)
    if (started !== undefined || ended !== undefined) {
      // The first few that are named aren't all there will be.
      if (ended !== undefined) this.#reach((SHARES.downloaded * this.#loaded) / total)
      return { text: `${megabytes(this.#loaded)} of ${megabytes(total)} MB`, fraction: this.#known() }
    }
    if (/^Prepared /.test(text)) this.#reach(SHARES.downloaded)
    if (/^Installed /.test(text)) this.#reach(SHARES.installed)
    if (step === 'compile') this.#reach(SHARES.installed)
    if (step === 'done') this.#reach(SHARES.compiled)
    return { text, fraction: this.#known() }
  }

  #reach(fraction: number): void {
    this.#fraction = Math.max(this.#fraction, fraction)
  }

  #known(): number | null {
    return this.#fraction === 0 ? null : this.#fraction
  }
}

const megabytes = (bytes: number): string => Math.round(bytes / 1e6).toString()
