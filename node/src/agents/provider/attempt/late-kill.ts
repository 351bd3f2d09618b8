/** Kills a run that was told to stop and doesn't. Told again meanwhile, it is killed once: the first time was of an earlier word. */
export class LateKill {
  #timer: NodeJS.Timeout | undefined

  constructor(
    private readonly kill: () => void,
    /** After this, ms. */
    private readonly after: number
  ) {}

  /** It was told to stop. */
  arm(): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(this.kill, this.after)
  }

  /** It has stopped, or its sandbox is another one now: that is not to be killed for it. */
  clear(): void {
    clearTimeout(this.#timer)
  }
}
