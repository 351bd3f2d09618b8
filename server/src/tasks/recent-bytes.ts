/** What is kept at most, bytes: some hundred offers with bundles that are small enough to travel with them. */
const KEPT_BYTES = 16 << 20

/** Byte strings that will be asked for again soon; the oldest go first where they are too many. */
export class RecentBytes {
  readonly #kept = new Map<string, Uint8Array>()
  #bytes = 0

  constructor(private readonly most = KEPT_BYTES) {}

  get(key: string): Uint8Array | undefined {
    return this.#kept.get(key)
  }

  set(key: string, value: Uint8Array): void {
    this.delete(key)
    this.#kept.set(key, value)
    this.#bytes += value.length
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= this.most) return
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    this.#bytes -= this.#kept.get(key)?.length ?? 0
    this.#kept.delete(key)
  }
}
