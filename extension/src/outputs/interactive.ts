import type { PartialJSONObject } from '@lumino/coreutils'
import { MAX_INTERACTIVE_CHARS } from './constants.js'

/**
 * Outputs that need scripts (plotly, bokeh): kept as text and shown on request in a frame that has no rights.
 *
 * The outer frame is ours: `sandbox="allow-scripts"` without same-origin gives it an origin of its own, so the page, its
 * storage, its cookies and its server are out of reach; its policy allows inline script, inline style and data pictures and
 * no connection at all. The provider's page stands in an inner frame of it, which inherits that policy and, because of
 * `frame-src 'none'`, can't navigate itself to an address either (a navigation would carry data out).
 */
export const FRAME_POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; font-src data:; " +
  "frame-src 'none'; child-src 'none'; form-action 'none'; base-uri 'none'"

/** Features of the device that the frame may not even ask for. */
const DENIED_FEATURES =
  'accelerometer; autoplay; camera; clipboard-read; clipboard-write; display-capture; encrypted-media; fullscreen; ' +
  'geolocation; gyroscope; hid; microphone; midi; payment; screen-wake-lock; serial; usb; xr-spatial-tracking'
    .split('; ')
    .map(feature => `${feature} 'none'`)
    .join('; ')

/** Heights of the frame in px: a figure of the usual size, and what a page may ask for at most. */
const START_HEIGHT = 460
const LEAST_HEIGHT = 60
const MOST_HEIGHT = 1200

/** What an interactive output holds in the notebook. */
export interface InteractiveOutput {
  v: 1
  /** `page`: shown on request. `prelude`: scripts that later pages of the same task need (plotly.js itself). */
  role: 'page' | 'prelude'
  /** The run that it belongs to, so that a page finds its preludes. */
  run: string
  html: string
}

export const interactiveJson = (output: InteractiveOutput): PartialJSONObject => ({ ...output })

/** Reads what stands in a notebook; undefined for anything else. */
export function parseInteractive(value: unknown): InteractiveOutput | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { v, role, run, html } = value as Record<string, unknown> // a record's fields are all `unknown`
  if (v !== 1 || typeof run !== 'string' || typeof html !== 'string') return undefined
  if (role !== 'page' && role !== 'prelude') return undefined
  return html.length > MAX_INTERACTIVE_CHARS ? undefined : { v, role, run, html }
}

/** Scripts that pages of a run need, by run. Filled live and, when a notebook is opened, from its saved outputs. */
export class Preludes {
  private readonly pages = new Map<string, Set<string>>()

  add(output: InteractiveOutput): void {
    if (output.role !== 'prelude') return
    const known = this.pages.get(output.run) ?? new Set()
    known.add(output.html)
    this.pages.set(output.run, known)
  }

  of(run: string): string[] {
    return [...(this.pages.get(run) ?? [])]
  }

  /** When a run's outputs are cleared or its notebook is closed. */
  forget(run: string): void {
    this.pages.delete(run)
  }
}

const escaped = (text: string): string => text.replace(/&/g, '&amp;').replace(/"/g, '&quot;').replace(/</g, '&lt;')

/** Tells the frame around it how tall its content is. Runs before the provider's code; a lie changes only its own height. */
const REPORT_HEIGHT =
  '<script>addEventListener("load",()=>{const tell=()=>parent.postMessage({pekkaHeight:document.documentElement.scrollHeight},"*");' +
  'tell();new ResizeObserver(tell).observe(document.documentElement)})</script>'

const RELAY_HEIGHT =
  '<script>addEventListener("message",event=>{if(event.source===frames[0]&&event.data&&typeof event.data.pekkaHeight==="number")' +
  'parent.postMessage({pekkaHeight:event.data.pekkaHeight},"*")})</script>'

/** The document of the outer frame: our policy, then the provider's page in a frame of its own. */
export function frameDocument(html: string, preludes: readonly string[] = []): string {
  const style = '<style>html{background:#fff}body{margin:0;font-family:sans-serif;font-size:13px}</style>'
  const inner = `<!doctype html><meta charset="utf-8">${style}${REPORT_HEIGHT}${preludes.join('\n')}\n${html}`
  return (
    `<!doctype html><html><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${FRAME_POLICY}">` +
    '<meta name="referrer" content="no-referrer"><meta http-equiv="x-dns-prefetch-control" content="off">' +
    '<style>html,body{margin:0;height:100%;overflow:hidden}iframe{border:0;width:100%;height:100%;display:block}</style>' +
    `${RELAY_HEIGHT}</head><body><iframe sandbox="allow-scripts" title="Output" srcdoc="${escaped(inner)}"></iframe></body></html>`
  )
}

/** Makes the frame. `dispose` takes it away with everything that runs in it. */
export function createFrame(
  document: Document,
  html: string,
  {
    preludes = [],
    title = 'Interactive output of a remote cell'
  }: { preludes?: readonly string[]; title?: string } = {}
): { element: HTMLIFrameElement; dispose: () => void } {
  const frame = document.createElement('iframe')
  frame.setAttribute('sandbox', 'allow-scripts')
  frame.setAttribute('allow', DENIED_FEATURES)
  frame.setAttribute('referrerpolicy', 'no-referrer')
  frame.title = title
  frame.className = 'pk-Interactive-frame'
  frame.style.cssText = `display: block; width: 100%; height: ${START_HEIGHT}px; border: 0; background: white`
  frame.srcdoc = frameDocument(html, preludes)
  const window = document.defaultView
  const listen = (event: MessageEvent): void => {
    if (event.source === null || event.source !== frame.contentWindow) return
    const height: unknown = (event.data as { pekkaHeight?: unknown } | null)?.pekkaHeight // any shape may come; checked below
    if (typeof height === 'number' && Number.isFinite(height)) {
      frame.style.height = `${Math.round(Math.min(MOST_HEIGHT, Math.max(LEAST_HEIGHT, height)))}px`
    }
  }
  window?.addEventListener('message', listen)
  return {
    element: frame,
    dispose: () => {
      window?.removeEventListener('message', listen)
      frame.remove()
    }
  }
}

/** What stands in the cell: the output's text or picture and a button that opens and closes the frame. */
export interface InteractiveView {
  /** Plain text of the output. */
  text: string
  /** Address of a picture of it (a checked data URL), where it came with one. */
  picture?: string
}

/** Builds that element. `dispose` closes the frame too. */
export function createInteractive(
  document: Document,
  output: InteractiveOutput,
  view: InteractiveView,
  preludes: Preludes
): { element: HTMLElement; dispose: () => void } {
  const element = document.createElement('div')
  element.className = 'pk-Interactive'
  if (output.role === 'prelude') {
    preludes.add(output)
    element.hidden = true
    return { element, dispose: () => undefined }
  }
  const still = document.createElement(view.picture === undefined ? 'pre' : 'img')
  if (still instanceof HTMLImageElement && view.picture !== undefined) {
    still.src = view.picture
    still.alt = view.text
  } else still.textContent = view.text
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'pk-Interactive-button jp-Button jp-mod-styled'
  let frame: ReturnType<typeof createFrame> | undefined
  const update = (): void => {
    button.textContent = frame === undefined ? 'Show interactive output' : 'Close interactive output'
    button.setAttribute('aria-expanded', String(frame !== undefined))
    still.hidden = frame !== undefined
  }
  const close = (): void => {
    frame?.dispose()
    frame = undefined
  }
  button.addEventListener('click', () => {
    if (frame === undefined) {
      frame = createFrame(document, output.html, { preludes: preludes.of(output.run) })
      element.append(frame.element)
    } else close()
    update()
  })
  update()
  element.append(still, button)
  return { element, dispose: close }
}
