import { MAX_HTML_CHARS, MAX_HTML_ELEMENTS } from './constants.js'
import { cleanImage, IMAGE_MIMES } from './images.js'
import { styleAttribute } from './style.js'
import { applySheets } from './stylesheet.js'
import { svgPicture } from './svg.js'
import { cleanText } from './text.js'

/** Elements that stand for text and tables and do nothing. */
const TAGS = new Set(
  (
    'a abbr address article aside b bdi big blockquote br caption center cite code col colgroup dd del details dfn div dl dt ' +
    'em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark nav ol p pre q rp rt ruby s samp ' +
    'section small span strike strong sub summary sup table tbody td tfoot th thead time tr tt u ul var wbr'
  ).split(' ')
)

/** Left out without a loss: what they hold isn't shown by a browser either. */
const SILENT = new Set(['style', 'meta', 'title', 'link', 'base', 'noscript', 'head'])

/** Attributes that stay as they are where their value fits. */
const ATTRIBUTES: Record<string, RegExp> = {
  align: /^[a-z]{1,10}$/i,
  valign: /^[a-z]{1,10}$/i,
  width: /^\d{1,5}(?:\.\d+)?(?:px|%)?$/,
  height: /^\d{1,5}(?:\.\d+)?(?:px|%)?$/,
  border: /^\d{1,2}$/,
  cellpadding: /^\d{1,2}$/,
  cellspacing: /^\d{1,2}$/,
  colspan: /^\d{1,3}$/,
  rowspan: /^\d{1,4}$/,
  span: /^\d{1,3}$/,
  scope: /^(?:row|col|rowgroup|colgroup)$/,
  start: /^-?\d{1,6}$/,
  type: /^[1aAiI]$/,
  value: /^-?\d{1,6}$/,
  open: /^(?:open)?$/,
  color: /^(?:[a-z]{3,30}|#[0-9a-f]{3,8})$/i,
  bgcolor: /^(?:[a-z]{3,30}|#[0-9a-f]{3,8})$/i,
  datetime: /^[\dTZ:.+-]{4,40}$/
}

/** Attributes with text that people read. */
const TEXT_ATTRIBUTES = new Set(['title', 'alt', 'abbr', 'summary'])

/** TeX that MathJax turns into links, classes, ids or styles, in text that JupyterLab typesets. */
export const ODD_TEX =
  /\\(?:href|url|class|cssId|style|data|require|html\w*|includegraphics|unicode|mmlToken|fbox|bbox|rlap|llap|smash|raise|lower|kern|hspace|mspace|def|let|newcommand|renewcommand|newenvironment)(?![a-zA-Z])/i

const LINK = /^(?:https?:\/\/|mailto:)/i

export interface CleanHtml {
  html: string
  /** True where everything that a reader would see is still there. */
  whole: boolean
  /** What it says, without markup. */
  text: string
  /** True where it shows nothing itself and only carries scripts for later outputs. */
  scriptOnly: boolean
}

/** Copies allowed nodes from an inert document into another inert one; keeps count of what it leaves out. */
class Copier {
  whole = true
  private elements = 0

  constructor(
    private readonly document: Document,
    private readonly styles: Map<Element, [string, string][]>
  ) {}

  children(from: Node, to: Node, depth: number): void {
    for (const node of from.childNodes) this.node(node, to, depth)
  }

  private node(node: Node, to: Node, depth: number): void {
    if (node.nodeType === 3) {
      const text = node.nodeValue ?? ''
      if (ODD_TEX.test(text) && /\$|\\[([]|\\begin/.test(text)) this.whole = false
      to.appendChild(this.document.createTextNode(cleanText(text)))
    } else if (node.nodeType === 1) this.element(node as Element, to, depth)
  }

  private element(element: Element, to: Node, depth: number): void {
    const tag = element.localName
    this.elements += 1
    if (SILENT.has(tag)) return
    const known = TAGS.has(tag) && element.namespaceURI === 'http://www.w3.org/1999/xhtml'
    if (!known || depth > 200 || this.elements > MAX_HTML_ELEMENTS) {
      this.whole = false
      return
    }
    const copy = this.document.createElement(tag)
    for (const { name, value } of [...element.attributes]) this.attribute(tag, name.toLowerCase(), value, copy)
    this.style(element, copy)
    if (tag === 'img' && !copy.hasAttribute('src')) {
      this.whole = false
      return
    }
    if (copy.hasAttribute('href')) {
      copy.setAttribute('rel', 'noopener noreferrer nofollow')
      copy.setAttribute('target', '_blank')
    }
    to.appendChild(copy)
    this.children(element, copy, depth + 1)
  }

  private attribute(tag: string, name: string, value: string, copy: Element): void {
    if (name === 'href' && tag === 'a') {
      // What a browser ignores inside a scheme (tab, line feed) is taken out before looking.
      const address = value.replace(/[\u0000-\u0020]+/g, '')
      if (LINK.test(address)) copy.setAttribute('href', cleanText(address).slice(0, 4096))
      else if (/^[a-z][a-z0-9+.-]*:/i.test(address)) this.whole = false
    } else if (name === 'src' && tag === 'img') {
      const url = pictureUrl(value)
      if (url !== undefined) copy.setAttribute('src', url)
    } else if (TEXT_ATTRIBUTES.has(name)) copy.setAttribute(name, cleanText(value).slice(0, 1024))
    else if (name === 'type' && tag !== 'ol' && tag !== 'ul' && tag !== 'li') return
    else if (Object.hasOwn(ATTRIBUTES, name) && ATTRIBUTES[name]?.test(value) === true) copy.setAttribute(name, value)
    else if (name.startsWith('on') || name.startsWith('data-commandlinker') || name === 'srcset') this.whole = false
  }

  private style(element: Element, copy: Element): void {
    const own = styleAttribute(element.getAttribute('style') ?? '')
    if (own.cut) this.whole = false
    const all = new Map([...(this.styles.get(element) ?? []), ...own.declarations])
    if (all.size > 0) copy.setAttribute('style', [...all].map(([name, value]) => `${name}: ${value}`).join('; '))
  }
}

/** The address of a picture that stands in the HTML itself, checked; undefined for any other. */
function pictureUrl(value: string): string | undefined {
  const match = /^data:(image\/[a-z+]+)(;charset=[\w-]+)?(;base64)?,/i.exec(value.trim())
  if (match === null) return undefined
  const data = value.trim().slice(match[0].length)
  const mime = (match[1] ?? '').toLowerCase()
  const known = IMAGE_MIMES.find(candidate => candidate === mime)
  if (known !== undefined && match[3] !== undefined) {
    const base64 = cleanImage(known, data)
    return base64 === undefined ? undefined : `data:${known};base64,${base64}`
  }
  if (mime !== 'image/svg+xml') return undefined
  try {
    const source =
      match[3] === undefined
        ? decodeURIComponent(data)
        : new TextDecoder().decode(Uint8Array.from(atob(data), c => c.charCodeAt(0)))
    return svgPicture(source)?.url
  } catch {
    return undefined
  }
}

function once(source: string): CleanHtml {
  // An inert document: it has no window, so nothing in it loads or runs.
  const document = new DOMParser().parseFromString(source, 'text/html')
  const target = document.implementation.createHTMLDocument('')
  const sheets = applySheets(document, document.body)
  const copier = new Copier(target, sheets.styles)
  if (sheets.cut || document.head.querySelector('script') !== null) copier.whole = false
  copier.children(document.body, target.body, 0)
  const rest = document.body.cloneNode(true) as Element
  for (const silent of rest.querySelectorAll('script, style, noscript, template')) silent.remove()
  const text = cleanText(
    (rest.textContent ?? '')
      .replace(/[ \t]+/g, ' ')
      .replace(/\s*\n\s*/g, '\n')
      .trim()
  )
  const scriptOnly = text === '' && document.querySelector('script') !== null && rest.childElementCount === 0
  return { html: target.body.innerHTML, whole: copier.whole, text, scriptOnly }
}

/**
 * Cleans HTML by an allow-list: what comes out has no script, no address that is fetched, no class, id, data attribute, form
 * or style that could imitate or cover JupyterLab's own surface, whether the page trusts it or not. `whole` says whether
 * anything that matters was left out.
 */
export function cleanHtml(value: unknown): CleanHtml | undefined {
  const source = Array.isArray(value) ? value.join('') : value
  if (typeof source !== 'string') return undefined
  if (source.length > MAX_HTML_CHARS) {
    const scriptOnly = /^\s*(?:<script\b[^>]*>(?:(?!<\/script)[\s\S])*<\/script>\s*)+$/i.test(source)
    return { html: '', whole: false, text: '', scriptOnly }
  }
  const first = once(source)
  // Parsing what was written must give the same again; else the parser was led astray, and nothing of it is used.
  const second = once(first.html)
  return second.html === first.html && second.whole ? first : { ...first, html: '', whole: false }
}
