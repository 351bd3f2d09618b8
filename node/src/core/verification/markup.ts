import { canonicalText, Names, withoutNames } from './text.js'

/**
 * Canonical HTML and SVG: tags with sorted attributes, white space folded, comments gone, ids renamed by first appearance
 * wherever tags, styles and scripts use them (a Styler's `#T_ab12c`, plotly's divs, matplotlib's clip paths). Styles and
 * scripts stay: who leaves them out lets a forger hide a table's cells with a style. One pass, linear in the text.
 */

const PIECE =
  /<!--[^]*?(?:-->|$)|<(script|style|metadata)\b([^<>]*)>([^]*?)(?:<\/\1\s*>|$)|<[!?/]?[a-zA-Z][^<>]*>|[^<]+|</gi
const ID = /\sid\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi
const ATTRIBUTE = /([^\s"'=<>/]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g
const WORD = /[\w-]+/g
const DECIMALS = /-?\d*\.\d{3,}(?:e[-+]?\d+)?/gi

class Markup {
  readonly #ids = new Names()
  readonly #names = new Names()

  constructor(
    private readonly source: string,
    private readonly svg: boolean
  ) {
    for (const [, double, single, bare] of source.matchAll(ID)) {
      const id = double ?? single ?? bare ?? ''
      if (id !== '') this.#ids.of(id)
    }
  }

  canonical(): string {
    const out: string[] = []
    for (const [piece, name, attributes, content] of this.source.matchAll(PIECE)) {
      if (piece.startsWith('<!--')) continue
      if (name !== undefined) {
        // The date and maker of a picture.
        if (name.toLowerCase() === 'metadata') continue
        out.push(this.#tag(`<${name}${attributes ?? ''}>`), '\n', this.#rename(fold(content ?? '')), '\n')
      } else if (piece.length > 1 && piece.startsWith('<')) out.push(this.#tag(piece), '\n')
      else {
        const text = fold(piece)
        if (text !== '') out.push(withoutNames(text, this.#names), '\n')
      }
    }
    return out.join('')
  }

  #tag(tag: string): string {
    if (tag.startsWith('<?') || tag.startsWith('<!')) return ''
    const [, head = '', rest = ''] = /^<(\/?[^\s/>]+)([^]*?)\/?>$/.exec(tag) ?? []
    const attributes: string[] = []
    for (const [, name = '', double, single, bare] of rest.matchAll(ATTRIBUTE)) {
      attributes.push(`${name.toLowerCase()}="${this.#value(double ?? single ?? bare ?? '')}"`)
    }
    return [`<${head.toLowerCase()}`, ...attributes.sort()].join(' ')
  }

  #value(value: string): string {
    const renamed = this.#rename(fold(value))
    return this.svg ? renamed.replace(DECIMALS, rounded) : renamed
  }

  #rename(text: string): string {
    const renamed = text.replace(WORD, word => (this.#ids.has(word) ? `<ID:${this.#ids.of(word)}>` : word))
    return withoutNames(renamed, this.#names)
  }
}

const fold = (text: string): string => text.replace(/\s+/g, ' ').trim()

/** Two decimals, a hundredth of a point: coordinates that differ by an ulp draw the same. */
function rounded(text: string): string {
  const value = Number(text)
  const short = value.toFixed(2)
  return short === '-0.00' ? '0.00' : short
}

/** Pages larger than this are taken as text: a page with a library inside has 5 MB. */
const MAX_MARKUP = 32 << 20

export const canonicalHtml = (html: string): string =>
  html.length > MAX_MARKUP ? canonicalText(html) : new Markup(html, false).canonical()
export const canonicalSvg = (svg: string): string =>
  svg.length > MAX_MARKUP ? canonicalText(svg) : new Markup(svg, true).canonical()
