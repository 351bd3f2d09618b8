/** What screen readers are told: two regions of the page, one that waits for a pause and one that interrupts. */
export class LiveRegion {
  readonly #polite = region('polite')
  readonly #assertive = region('assertive')
  /** What was said last about something, so that a state is told once however often it is drawn. */
  readonly #said = new Map<string, string>()

  constructor() {
    document.body.append(this.#polite, this.#assertive)
  }

  /** `about`: what it is about, e.g. a cell. `key`: the state; the same key again says nothing. */
  say(about: string, key: string, text: string, assertive: boolean): void {
    if (this.#said.get(about) === key) return
    this.#said.set(about, key)
    const target = assertive ? this.#assertive : this.#polite
    target.textContent = text
  }

  /** A state without words: a later state may be told again. */
  pass(about: string, key: string): void {
    this.#said.set(about, key)
  }

  dispose(): void {
    this.#polite.remove()
    this.#assertive.remove()
  }
}

function region(politeness: 'polite' | 'assertive'): HTMLElement {
  const node = document.createElement('div')
  node.className = 'pk-LiveRegion'
  node.setAttribute('aria-live', politeness)
  node.setAttribute('role', politeness === 'polite' ? 'status' : 'alert')
  return node
}
