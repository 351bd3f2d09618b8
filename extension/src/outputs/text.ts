import { MAX_ESCAPE_CHARS } from './constants.js'

/**
 * Escape sequences: CSI (group 1: parameters, 2: final byte), OSC with its text, DCS/SOS/PM/APC strings, and the two- and
 * three-byte rest; each also with the one-byte C1 introducer. String sequences are bounded, so that an unfinished one
 * hides at most what stands before the next control character.
 */
const ESCAPES = new RegExp(
  [
    '(?:\\x1b\\[|\\x9b)([0-?]{0,256})[ -/]{0,16}([@-~])',
    `(?:\\x1b\\]|\\x9d)[^\\x07\\x1b\\x9c\\n]{0,${MAX_ESCAPE_CHARS}}(?:\\x07|\\x1b\\\\|\\x9c)`,
    `(?:\\x1b[PX^_]|[\\x90\\x98\\x9e\\x9f])[^\\x1b\\x9c\\n]{0,${MAX_ESCAPE_CHARS}}(?:\\x1b\\\\|\\x9c)`,
    '\\x1b[ -/]{1,16}[0-~]',
    '\\x1b[\\]PX^_0-Za-~]',
    '\\x1b\\[[0-?]{0,256}[ -/]{0,16}'
  ].join('|'),
  'g'
)

/** Something that {@link cleanText} changes. Tab, line feed and carriage return pass. */
const ODD = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\p{Surrogate}/u
const ODD_ALL = new RegExp(ODD.source, 'gu')

/** SGR codes that JupyterLab draws and that can't hide text: not 5, 6 (blink) and 8 (conceal). */
const plainSgr = (code: number): boolean =>
  [0, 1, 2, 3, 4, 7, 9, 21, 22, 23, 24, 27, 29, 39, 49].includes(code) ||
  (code >= 30 && code <= 37) ||
  (code >= 40 && code <= 47) ||
  (code >= 90 && code <= 97) ||
  (code >= 100 && code <= 107)

/** Keeps the colour codes of an SGR sequence; '' where nothing is left. */
function cleanSgr(parameters: string): string {
  if (!/^[\d;]*$/.test(parameters)) return ''
  const codes = parameters.split(';').map(part => (part === '' ? 0 : Number(part)))
  const kept: number[] = []
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i] ?? 0
    if (code === 38 || code === 48) {
      const length = codes[i + 1] === 5 ? 3 : codes[i + 1] === 2 ? 5 : 0
      const color = codes.slice(i, i + length)
      if (length === 0 || color.length < length) break
      if (color.slice(2).every(value => value <= 255)) kept.push(...color)
      i += length - 1
    } else if (plainSgr(code)) kept.push(code)
  }
  return kept.length === 0 ? '' : `\x1b[${kept.join(';')}m`
}

/** What a control character looks like: ␀ for C0, ‹U+202E› for C1 and for marks that reorder text. */
function visible(char: string): string {
  const code = char.codePointAt(0) ?? 0
  if (code < 0x20) return String.fromCharCode(0x2400 + code)
  if (code === 0x7f) return '\u2421'
  if (code >= 0xd800 && code <= 0xdfff) return '\ufffd'
  return `‹U+${code.toString(16).toUpperCase().padStart(4, '0')}›`
}

/**
 * Makes text from a provider safe to read: colours stay, all other escape sequences go (an OSC 8 link's text stays), other
 * control characters and marks that reverse the reading direction are made visible. `stream` also keeps backspace, which
 * progress bars use. What it returns it leaves unchanged when given again.
 */
export function cleanText(text: string, { stream = false }: { stream?: boolean } = {}): string {
  if (!ODD.test(text)) return text
  let out = ''
  let at = 0
  for (const match of text.matchAll(ESCAPES)) {
    out += show(text.slice(at, match.index), stream)
    if (match[2] === 'm') out += cleanSgr(match[1] ?? '')
    at = match.index + match[0].length
  }
  return out + show(text.slice(at), stream)
}

const show = (text: string, stream: boolean): string =>
  text.replace(ODD_ALL, char => (stream && char === '\b' ? char : visible(char)))

/** An escape sequence that the next piece may still complete, or half a character, at the end of a text. */
const UNFINISHED = new RegExp(
  `(?:(?:\\x1b\\[|\\x9b)[0-?]{0,256}[ -/]{0,16}|(?:\\x1b[\\]PX^_]|[\\x90\\x98\\x9d\\x9e\\x9f])[^\\x07\\x1b\\x9c\\n]{0,${MAX_ESCAPE_CHARS}}\\x1b?|\\x1b[ -/]{0,16}|[\\ud800-\\udbff])$`
)

/** Cleans a stream that arrives in pieces: a sequence cut in two by a frame's end is still one sequence. */
export class StreamText {
  private pending = ''

  push(text: string): string {
    const all = this.pending + text
    const tail = all.slice(-MAX_ESCAPE_CHARS)
    const unfinished = UNFINISHED.exec(tail)
    const keep = unfinished === null ? 0 : tail.length - unfinished.index
    this.pending = keep === 0 ? '' : all.slice(-keep)
    return cleanText(keep === 0 ? all : all.slice(0, -keep), { stream: true })
  }

  /** What still waited, at the end or before another kind of output. */
  flush(): string {
    const rest = this.pending
    this.pending = ''
    return rest === '' ? '' : cleanText(rest, { stream: true })
  }
}
