import type { ICodeCellModel } from '@jupyterlab/cells'

/**
 * Takes a cell's execution away as JupyterLab does, and takes back what that also does: it marks the cell trusted, in the
 * model and in the metadata, and a save would then sign a provider's output as the user's own (extension.md §4.1).
 */
export function clearUntrusted(model: ICodeCellModel): void {
  model.sharedModel.transact(
    () => {
      model.clearExecution()
      untrust(model)
    },
    false,
    'silent-change'
  )
}

export function untrust(model: ICodeCellModel): void {
  model.sharedModel.setMetadata('trusted', false)
  model.trusted = false
}
