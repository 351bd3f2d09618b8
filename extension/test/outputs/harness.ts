/** Runs in the browser: JupyterLab's real models and renderers around our cleaner and writer. Bundled by browser.ts. */
import { Sanitizer } from '@jupyterlab/apputils'
import { CodeCellModel } from '@jupyterlab/cells'
import type { IOutput } from '@jupyterlab/nbformat'
import { OutputArea, OutputAreaModel } from '@jupyterlab/outputarea'
import { RenderMimeRegistry, standardRendererFactories } from '@jupyterlab/rendermime'
import type { PartialJSONObject } from '@lumino/coreutils'
import { Widget } from '@lumino/widgets'
import { marked } from 'marked'
import {
  CellClaims,
  INTERACTIVE_RANK,
  interactiveRendererFactory,
  OutputCleaner,
  parseCellMetadata,
  Preludes,
  RemoteFuture,
  TaskWriter
} from '../../src/outputs/index.js'
import type { CellPlace, WriterEvent } from '../../src/outputs/index.js'

export { parseCellMetadata, RemoteFuture }

export const preludes = new Preludes()

export const rendermime = new RenderMimeRegistry({
  initialFactories: standardRendererFactories,
  sanitizer: new Sanitizer(),
  markdownParser: { render: async source => await marked(source) }
})
rendermime.addFactory(interactiveRendererFactory(preludes), INTERACTIVE_RANK)

export const cleaner = new OutputCleaner({ preludes, markdown: async source => await marked(source) }, { run: 'run' })

/** Shows outputs as a notebook does; returns the area's node. */
export function show(outputs: IOutput[], trusted: boolean): HTMLElement {
  const area = new OutputArea({ model: new OutputAreaModel({ values: outputs, trusted }), rendermime })
  Widget.attach(area, document.body)
  return area.node
}

/** A code cell's model and output area under an id, as a notebook holds them. */
export class Page {
  readonly places = new Map<string, CellPlace>()
  readonly claims = new CellClaims()
  readonly events: WriterEvent[] = []

  add(id: string, source = '', outputs: IOutput[] = [], metadata: PartialJSONObject = {}): CellPlace {
    const model = new CodeCellModel()
    for (const [key, value] of Object.entries(metadata)) model.setMetadata(key, value)
    model.sharedModel.setSource(source)
    for (const output of outputs) model.outputs.add(output)
    const outputArea = new OutputArea({ model: model.outputs, rendermime })
    Widget.attach(outputArea, document.body)
    const place = { model, outputArea }
    this.places.set(id, place)
    return place
  }

  writer(cells: string[]): TaskWriter {
    return new TaskWriter(
      { locate: id => this.places.get(id), claims: this.claims, cleaner },
      {
        cells,
        metadata: { v: 1, task: 'ab'.repeat(32), bridge: 'auto', owner: 'me', state: 'running' },
        date: '2026-01-01T00:00:00Z',
        onEvent: event => this.events.push(event)
      }
    )
  }

  outputs(id: string): IOutput[] {
    return this.places.get(id)?.model.outputs.toJSON() ?? []
  }
}

Object.assign(globalThis, {
  lab: { show, cleaner, rendermime, preludes, Page, RemoteFuture, CodeCellModel, OutputArea, Widget, parseCellMetadata }
})
