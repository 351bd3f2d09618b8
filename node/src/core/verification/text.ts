/**
 * Canonical text (reproducibility.md §2.1): what two honest runs of one program may write differently is taken out, and
 * nothing else. Rules in their order:
 *
 * 1. colours and cursor movements (`ESC [ … letter`) go;
 * 2. of a line with `\r` the last frame stays, `\b` deletes; CRLF is LF; blanks at the end of a line go;
 * 3. `at 0x7f…` and `<… 0x7f…>`: addresses become `<ADDR>`;
 * 4. UUIDs become `<UUID:n>`, numbered by first appearance, so that it still counts which are the same;
 * 5. `/tmp/ipykernel_N/N.py` becomes `<CELL>`, the working directory `<CWD>`, site-packages `<SITE>`; `pid 123` `<PID>`.
 *
 * Two rules of the paper are narrower here, because every rule is also room for a forger: a hexadecimal number that isn't
 * called an address and 32 bare hexadecimal digits stay. They are data (an MD5, a colour, a mask); uuid4() is seeded.
 */

const ANSI = /\u001b\[[0-9;?]*[A-Za-z]/g
const ADDRESS = /( at |<[^<>\n]{0,200}?)0x[0-9a-fA-F]{6,16}(?![0-9a-fA-F])/g
const UUID = /\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b/g
const CELL_FILE = /\/tmp\/ipykernel_\d+\/\d+\.py/g
const SITE = /\/opt\/pekka\/env\/lib\/python\d+\.\d+\/site-packages/g
const PID = /\b(pid|PID)([=: ]{1,2})\d+/g

/** More than these are not told apart: nobody prints a million UUIDs, and a forger shall not fill our memory. */
const MAX_NAMES = 65_536

/** Backspaces are followed in lines up to this length only. A person's progress bar has a hundred characters. */
const MAX_EDITED = 1 << 20

/** Numbers for names that are made up anew in each run. */
export class Names {
  readonly #numbers = new Map<string, number>()

  of(name: string): number {
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    const number = Math.min(this.#numbers.size + 1, MAX_NAMES)
    if (number < MAX_NAMES) this.#numbers.set(name, number)
    return number
  }

  has(name: string): boolean {
    return this.#numbers.has(name)
  }
}

/** Rules 3 to 5. */
export function withoutNames(text: string, names: Names): string {
  let out = text
  if (out.includes('0x')) out = out.replace(ADDRESS, '$1<ADDR>')
  if (out.includes('-')) out = out.replace(UUID, uuid => `<UUID:${names.of(uuid.toLowerCase())}>`)
  if (out.includes('/')) {
    if (out.includes('/tmp/ipykernel_')) out = out.replace(CELL_FILE, '<CELL>')
    if (out.includes('/site-packages')) out = out.replace(SITE, '<SITE>')
    out = out.replaceAll('/home/pekka/work', '<CWD>')
  }
  return /pid/i.test(out) ? out.replace(PID, '$1$2<PID>') : out
}

/** One line, without its end. */
export function canonicalLine(line: string, names: Names): string {
  let out = line
  if (out.includes('\u001b')) out = out.replace(ANSI, '')
  if (out.includes('\r')) out = lastFrame(out)
  if (out.includes('\b') && out.length <= MAX_EDITED) out = backspaced(out)
  return withoutNames(out.trimEnd(), names)
}

function lastFrame(line: string): string {
  for (let end = line.length; end >= 0;) {
    const start = line.lastIndexOf('\r', end - 1)
    const frame = line.slice(start + 1, end)
    if (frame.trim() !== '') return frame
    end = start
  }
  return ''
}

function backspaced(line: string): string {
  const out: string[] = []
  for (const character of line) {
    if (character === '\b') out.pop()
    else out.push(character)
  }
  return out.join('')
}

/** A whole text; its lines, each ended by LF. */
export function canonicalText(text: string, names = new Names()): string {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines.map(line => `${canonicalLine(line, names)}\n`).join('')
}

/** Canonical text of a stream that comes in pieces: hands on whole lines. */
export class LineCanoniser {
  readonly #names = new Names()
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #pieces: string[] = []

  /** Called with each canonical line, its LF included. */
  constructor(private readonly emit: (line: string) => void) {}

  /** Text, or bytes of UTF-8 (what isn't becomes U+FFFD, as in a terminal). */
  push(part: string | Uint8Array): void {
    const text = typeof part === 'string' ? part : this.#decoder.decode(part, { stream: true })
    const last = text.lastIndexOf('\n')
    if (last < 0) {
      if (text !== '') this.#pieces.push(text)
      return
    }
    this.#pieces.push(text.slice(0, last))
    this.#flush()
    if (last + 1 < text.length) this.#pieces.push(text.slice(last + 1))
  }

  end(): void {
    const rest = this.#decoder.decode()
    if (rest !== '') this.#pieces.push(rest)
    if (this.#pieces.some(piece => piece !== '')) this.#flush()
    this.#pieces = []
  }

  #flush(): void {
    const text = this.#pieces.join('')
    this.#pieces = []
    for (const line of text.split('\n')) this.emit(`${canonicalLine(line, this.#names)}\n`)
  }
}
