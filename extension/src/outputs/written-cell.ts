import type { ICodeCellModel } from '@jupyterlab/cells'
import type { OutputArea } from '@jupyterlab/outputarea'
import type { RemoteFuture } from './remote-future.js'

/** A cell of a task, as its writer knows it; listens to the cell's model for edits of its source. */
export class WrittenCell {
  /** `writing`: outputs go in. `gone`: deleted, outputs wait. `given-up`: somebody else writes there. */
  state: 'writing' | 'gone' | 'given-up' = 'gone'
  /** Output came while it was gone, which JupyterLab shows only if the deletion is undone. */
  missed = false
  ended = false
  private source: string | undefined
  private listened: ICodeCellModel | undefined
  private edited: boolean

  /**
   * @param before the same cell as an earlier attempt wrote it: its source is the one that was sent
   * @param onEdited whether the source differs now from what was sent
   */
  constructor(
    readonly id: string,
    readonly future: RemoteFuture,
    before: WrittenCell | undefined,
    private readonly onEdited: (edited: boolean) => void
  ) {
    this.source = before?.source
    this.edited = before?.edited ?? false
  }

  /** The model that is listened to. */
  get model(): ICodeCellModel | undefined {
    return this.listened
  }

  /** What stands in the cell now is what was sent, where no earlier attempt knows that. */
  begin(model: ICodeCellModel): void {
    this.source ??= model.sharedModel.getSource()
    this.follow(model)
  }

  /** The cell stands there now. */
  follow(model: ICodeCellModel): void {
    if (this.listened === model) return
    this.unfollow()
    this.listened = model
    model.sharedModel.changed.connect(this.onChange)
  }

  unfollow(): void {
    // A disposed model has dropped its listeners already.
    if (this.listened !== undefined && !this.listened.isDisposed)
      this.listened.sharedModel.changed.disconnect(this.onChange)
    this.listened = undefined
  }

  private readonly onChange = (_shared: unknown, change: { sourceChange?: unknown }): void => {
    if (change.sourceChange === undefined) return
    const edited = this.listened !== undefined && this.listened.sharedModel.getSource() !== this.source
    if (edited === this.edited) return
    this.edited = edited
    this.onEdited(edited)
  }
}

/** JupyterLab's type leaves out that there may be none. */
export const hasFuture = ({ future }: OutputArea): boolean =>
  (future as unknown) !== null && (future as unknown) !== undefined
