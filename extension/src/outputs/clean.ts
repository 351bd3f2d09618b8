import type { PartialJSONObject } from '@lumino/coreutils'
import { INTERACTIVE_MIME, MAX_ID_CHARS, MAX_INTERACTIVE_CHARS, MAX_LATEX_CHARS, MAX_PLAIN_CHARS } from './constants.js'
import { cleanHtml, ODD_TEX } from './html.js'
import type { CleanHtml } from './html.js'
import { cleanImage, IMAGE_MIMES } from './images.js'
import { interactiveJson } from './interactive.js'
import type { InteractiveOutput, Preludes } from './interactive.js'
import { cleanJson } from './json.js'
import { svgPicture } from './svg.js'
import { cleanText } from './text.js'

/** A representation of an output as the provider sent it. */
export interface RawBundle {
  data: Readonly<Record<string, unknown>>
  metadata?: Readonly<Record<string, unknown>>
}

/** What may enter the notebook: known types, checked content, sizes as the only metadata. */
export interface CleanBundle {
  data: PartialJSONObject
  metadata: PartialJSONObject
}

export interface CleanError {
  ename: string
  evalue: string
  traceback: string[]
}

export interface OutputCleanerComponents {
  /** Turns Markdown into HTML, as the notebook's own parser does. Without it Markdown is shown as its source. */
  markdown?: (source: string) => Promise<string>
  /** Scripts that interactive pages of this run need. */
  preludes?: Preludes
}

export interface OutputCleanerInit {
  /** The run whose outputs these are (task, attempt and run), so that its pages find their preludes. */
  run: string
}

/** Types that mean "a script does the rest". */
const SCRIPT_MIMES = ['application/javascript', 'text/javascript'] as const

const textOf = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value
  return Array.isArray(value) && value.every(line => typeof line === 'string') ? value.join('') : undefined
}

/** `<IPython.core.display.HTML object>` says nothing to a reader. */
const PLACEHOLDER = /^<[\w.]+ object(?: at 0x[0-9a-f]+)?>$/

/** Width and height of one representation, in px; everything else in output metadata is left out. */
function sizeOf(metadata: unknown): { width?: number; height?: number } {
  if (typeof metadata !== 'object' || metadata === null) return {}
  const { width, height } = metadata as Record<string, unknown> // a record's fields are all `unknown`
  const ok = (value: unknown): value is number => typeof value === 'number' && value >= 1 && value <= 10_000
  return { ...(ok(width) ? { width } : {}), ...(ok(height) ? { height } : {}) }
}

/**
 * The door: every output of a provider passes here before it enters the notebook's model. What comes out runs nothing and
 * fetches nothing, untrusted or trusted, now or after the notebook was saved and opened again (docs/decisions/0003).
 *
 * ```ts
 * const cleaner = new OutputCleaner({}, { run: 'task/1/1' })
 * await cleaner.bundle({ data: { 'text/html': '<b onclick="x()">hi</b>', 'text/plain': 'hi' } })
 * // data: 'text/plain' and the interactive type, which shows 'hi' and a button
 * ```
 */
export class OutputCleaner {
  constructor(
    private readonly components: OutputCleanerComponents,
    private readonly init: OutputCleanerInit
  ) {}

  /** Cleans one display. Never throws for what a provider can send. */
  async bundle({ data, metadata = {} }: RawBundle): Promise<CleanBundle> {
    const clean: CleanBundle = { data: {}, metadata: {} }
    const keep = (mime: string, value: PartialJSONObject[string], size: PartialJSONObject = {}): void => {
      clean.data[mime] = value
      if (Object.keys(size).length > 0) clean.metadata[mime] = size
    }
    const get = (mime: string): unknown => (Object.hasOwn(data, mime) ? data[mime] : undefined)
    const plain = textOf(get('text/plain'))
    let text = plain === undefined || PLACEHOLDER.test(plain.trim()) ? undefined : plain

    for (const mime of IMAGE_MIMES) {
      const image = get(mime) === undefined ? undefined : cleanImage(mime, get(mime))
      if (image !== undefined) keep(mime, image, sizeOf(metadata[mime]))
    }
    const latex = textOf(get('text/latex'))
    if (latex !== undefined && latex.length <= MAX_LATEX_CHARS && !ODD_TEX.test(latex)) {
      keep('text/latex', cleanText(latex))
    }
    const json = cleanJson(get('application/json'))
    if (json !== undefined) keep('application/json', json)

    const page = await this.page(data)
    if (page !== undefined) {
      const { html, source, markdown } = page
      if (html.whole) keep('text/html', html.html)
      else this.interactive(keep, source, html)
      text ??= markdown ?? (html.text === '' ? undefined : html.text)
    } else if (get('image/svg+xml') !== undefined) {
      const picture = this.picture(get('image/svg+xml'), metadata['image/svg+xml'])
      if (picture !== undefined) keep('text/html', picture)
    }
    text ??= this.describe(data, clean)
    if (text !== undefined) keep('text/plain', this.bounded(text))
    return clean
  }

  /** What the output shows as HTML: its own, its Markdown's, or a page for its script. */
  private async page(
    data: RawBundle['data']
  ): Promise<{ html: CleanHtml; source: string; markdown?: string } | undefined> {
    const own = (mime: string): string | undefined => (Object.hasOwn(data, mime) ? textOf(data[mime]) : undefined)
    const script = SCRIPT_MIMES.map(own).find(code => code !== undefined)
    const source = own('text/html')
    if (script !== undefined) {
      const scripted = `${source ?? ''}\n<script>${script.replace(/<\/script/gi, '<\\/script')}</script>`
      const text = source === undefined ? '' : (cleanHtml(source)?.text ?? '')
      return { source: scripted, html: { html: '', whole: false, text, scriptOnly: false } }
    }
    if (source !== undefined) {
      const html = cleanHtml(source)
      return html === undefined ? undefined : { html, source }
    }
    const markdown = own('text/markdown')
    if (markdown === undefined) return undefined
    if (this.components.markdown === undefined || markdown.length > MAX_PLAIN_CHARS) {
      return undefined
    }
    try {
      const rendered = await this.components.markdown(markdown)
      const html = cleanHtml(rendered)
      return html === undefined ? undefined : { html, source: rendered, markdown }
    } catch {
      // A parser that fails on a provider's text must not lose the text: it is shown as it stands.
      return undefined
    }
  }

  private interactive(
    keep: (mime: string, value: PartialJSONObject) => void,
    html: string,
    { scriptOnly }: CleanHtml
  ): void {
    if (html.length > MAX_INTERACTIVE_CHARS) return
    const output: InteractiveOutput = { v: 1, role: scriptOnly ? 'prelude' : 'page', run: this.init.run, html }
    this.components.preludes?.add(output)
    keep(INTERACTIVE_MIME, interactiveJson(output))
  }

  private picture(value: unknown, metadata: unknown): string | undefined {
    const picture = svgPicture(value)
    if (picture === undefined) return undefined
    const { width, height } = { ...picture, ...sizeOf(metadata) }
    const attributes = [
      ...(width === undefined ? [] : [` width="${width}"`]),
      ...(height === undefined ? [] : [` height="${height}"`])
    ]
    return `<img src="${picture.url}" alt="Picture"${attributes.join('')}>`
  }

  /** A line for outputs that came without text of their own. */
  private describe(data: RawBundle['data'], clean: CleanBundle): string | undefined {
    const markdown = Object.hasOwn(data, 'text/markdown') ? textOf(data['text/markdown']) : undefined
    const latex = Object.hasOwn(data, 'text/latex') ? textOf(data['text/latex']) : undefined
    if (markdown !== undefined) return markdown
    if (latex !== undefined) return latex
    if (INTERACTIVE_MIME in clean.data) return 'Interactive output'
    const plain = Object.hasOwn(data, 'text/plain') ? textOf(data['text/plain']) : undefined
    if (plain !== undefined) return plain
    if (Object.keys(clean.data).length > 0) return undefined
    const types = Object.keys(data)
      .slice(0, 3)
      .map(mime => cleanText(mime).slice(0, MAX_ID_CHARS))
    return types.length === 0 ? '' : `An output of type ${types.join(', ')} isn't shown here.`
  }

  private bounded(text: string): string {
    if (text.length <= MAX_PLAIN_CHARS) return cleanText(text)
    const cut = text.length - MAX_PLAIN_CHARS
    return `${cleanText(text.slice(0, MAX_PLAIN_CHARS))}\n… ${cut} characters more were cut.`
  }

  /** Cleans an exception: names and texts are data like any other. */
  error({ ename, evalue, traceback }: CleanError): CleanError {
    return {
      ename: cleanText(ename).replace(/\s+/g, ' ').slice(0, MAX_ID_CHARS),
      evalue: this.bounded(evalue),
      traceback: traceback.slice(0, 1000).map(line => this.bounded(line))
    }
  }

  /** An opaque display id, or undefined. */
  displayId(transient: Readonly<Record<string, unknown>> | undefined): string | undefined {
    const id = transient?.['display_id']
    return typeof id === 'string' && id.length > 0 && id.length <= MAX_ID_CHARS ? id : undefined
  }
}
