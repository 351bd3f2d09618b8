import { mkdir, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { replaceFile } from '../../host/files/index.js'
import type { PairingCodes } from './codes.js'

/** A page loaded just before the next code has 40 s left to use its own. */
const ROTATE_MS = 20_000

/**
 * Keeps a fresh pairing code in JupyterLab's page config, so that a page which Lab served to its signed-in user pairs
 * by itself and the user sees nothing (DESIGN §10). JupyterLab reads the file at each page load; a code that one page has used is
 * replaced at once, so that a second browser's page doesn't find it used up.
 */
export class PageConfig {
  #timer: NodeJS.Timeout | null = null
  #writing: Promise<void> = Promise.resolve()

  constructor(
    private readonly components: { codes: PairingCodes },
    private readonly init: { path: string; facts: () => Record<string, string> }
  ) {}

  async start(): Promise<void> {
    await this.#write()
    this.components.codes.onUsed(() => this.#renew())
    this.#timer = setInterval(() => this.#renew(), ROTATE_MS)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    this.components.codes.onUsed(() => {})
    if (this.#timer) clearInterval(this.#timer)
    await this.#writing
    await rm(this.init.path, { force: true })
  }

  /** One write after the other: they share a temporary file. */
  #renew(): void {
    this.#writing = this.#writing.then(() => this.#write()).catch(() => undefined)
  }

  async #write(): Promise<void> {
    const { path, facts } = this.init
    const text = JSON.stringify({ pekka: JSON.stringify({ v: 1, code: this.components.codes.create(), ...facts() }) })
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    await replaceFile(path, `${text}\n`, { flush: false })
  }
}
