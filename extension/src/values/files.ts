import type { Contents } from '@jupyterlab/services'
import { PekkaError, isTravelPath } from '@pekka/node/protocol'
import type { TravelSource } from '@pekka/node/client'

/** Files of the Jupyter server, below the notebook's folder. */
export interface LabFilesComponents {
  contents: Pick<Contents.IManager, 'get'>
  /** Bytes of a file from Jupyter's own download address, by range. */
  fetchRange: (path: string, from: number, to: number) => Promise<{ status: number; bytes: Uint8Array }>
}

export type Found =
  | { kind: 'file'; size: number; source: TravelSource }
  | { kind: 'other'; why: string }
  | { kind: 'none' }
  /** Jupyter doesn't say, or hides it. */
  | { kind: 'unknown' }

export class LabFiles {
  constructor(
    private readonly components: LabFilesComponents,
    /** Folder of the notebook, '' or with a slash at the end. */
    private readonly root: string
  ) {}

  /** What a literal path of a cell is. */
  async find(path: string): Promise<Found> {
    if (!isTravelPath(path)) {
      // Where it leads can't be asked of the server, which serves its own root only.
      return {
        kind: 'other',
        why: 'It’s outside the notebook’s folder, so the code would not find it there. Copy it beside the notebook.'
      }
    }
    const model = await this.#model(path)
    if (typeof model === 'string') return { kind: model }
    if (model.type === 'directory') return { kind: 'other', why: 'It’s a folder. Name its files in the code.' }
    const size = model.size ?? 0
    return {
      kind: 'file',
      size,
      source: new LabFile(this.components, this.root + path, path, size, model.last_modified)
    }
  }

  async #model(path: string): Promise<Contents.IModel | 'none' | 'unknown'> {
    try {
      return await this.components.contents.get(this.root + path, { content: false })
    } catch (error) {
      // Of what begins with a dot it says the same as of what isn't there.
      return isNotFound(error) && !/(^|\/)\./.test(path) ? 'none' : 'unknown'
    }
  }
}

const isNotFound = (error: unknown): boolean =>
  error instanceof Error && 'response' in error && error.response instanceof Response && error.response.status === 404

class LabFile implements TravelSource {
  constructor(
    private readonly components: LabFilesComponents,
    private readonly path: string,
    private readonly shown: string,
    readonly size: number,
    private readonly modified: string
  ) {}

  async read(offset: number, length: number): Promise<Uint8Array> {
    const { contents, fetchRange } = this.components
    let bytes = new Uint8Array()
    if (length > 0) {
      const answer = await fetchRange(this.path, offset, offset + length).catch((cause: unknown) => {
        throw this.#unreadable('the Jupyter server does not give it.', cause)
      })
      // A server that doesn't know ranges sends the whole.
      bytes = new Uint8Array(answer.status === 206 ? answer.bytes : answer.bytes.subarray(offset, offset + length))
      if (answer.status !== 206 && answer.status !== 200)
        throw this.#unreadable(answer.status === 403 ? 'you may not read it.' : `the server says ${answer.status}.`)
    }
    const now = await contents.get(this.path, { content: false }).catch(() => null)
    if (bytes.length !== length || now === null || now.size !== this.size || now.last_modified !== this.modified)
      throw new PekkaError('INPUT_FILE_CHANGED', { path: this.shown })
    return bytes
  }

  #unreadable(issue: string, cause?: unknown): PekkaError {
    return new PekkaError('INPUT_FILE_UNREADABLE', { path: this.shown, issue }, { cause })
  }
}
