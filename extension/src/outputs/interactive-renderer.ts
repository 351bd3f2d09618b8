import type { IRenderMime } from '@jupyterlab/rendermime-interfaces'
import { Widget } from '@lumino/widgets'
import { INTERACTIVE_MIME } from './constants.js'
import { cleanImage, IMAGE_MIMES } from './images.js'
import { createInteractive, parseInteractive } from './interactive.js'
import type { Preludes } from './interactive.js'

/** Before `text/html` (50), after `application/json` (0): an output with a page is shown by its button. */
export const INTERACTIVE_RANK = 40

/** Shows an interactive output: its text or picture, and a button for the frame. Asks nothing of the notebook's trust. */
class InteractiveRenderer extends Widget implements IRenderMime.IRenderer {
  private shown: { element: HTMLElement; dispose: () => void } | undefined

  constructor(private readonly preludes: Preludes) {
    super()
    this.addClass('pk-InteractiveRenderer')
  }

  renderModel(model: IRenderMime.IMimeModel): Promise<void> {
    this.empty()
    const output = parseInteractive(model.data[INTERACTIVE_MIME])
    const plain = model.data['text/plain']
    const text = typeof plain === 'string' ? plain : Array.isArray(plain) ? plain.join('') : 'Interactive output'
    if (output === undefined) {
      this.node.textContent = text
      return Promise.resolve()
    }
    // A notebook file may have been changed since it was cleaned, so its picture is checked again.
    const pictures = IMAGE_MIMES.flatMap(mime => {
      const data = model.data[mime] === undefined ? undefined : cleanImage(mime, model.data[mime])
      return data === undefined ? [] : [`data:${mime};base64,${data}`]
    })
    const view = { text, ...(pictures[0] === undefined ? {} : { picture: pictures[0] }) }
    this.shown = createInteractive(document, output, view, this.preludes)
    this.node.append(this.shown.element)
    return Promise.resolve()
  }

  override dispose(): void {
    this.empty()
    super.dispose()
  }

  private empty(): void {
    this.shown?.dispose()
    this.shown = undefined
    this.node.textContent = ''
  }
}

/** The renderer of {@link INTERACTIVE_MIME}; safe, because the page runs in a frame without rights and on request only. */
export function interactiveRendererFactory(preludes: Preludes): IRenderMime.IRendererFactory {
  return {
    safe: true,
    mimeTypes: [INTERACTIVE_MIME],
    defaultRank: INTERACTIVE_RANK,
    createRenderer: () => new InteractiveRenderer(preludes)
  }
}
