import type { CommandRegistry } from '@lumino/commands'
import { MenuSvg } from '@jupyterlab/ui-components'
import { Widget } from '@lumino/widgets'
import { iconElement, type IconName } from '../line/index.js'
import { CommandIds } from './command-ids.js'

/** `Run remotely ⌄` in the notebook's toolbar: a click runs the selected cells, the arrow offers the rest. */
export function createRunMenu(commands: CommandRegistry): Widget {
  // Lab's own kind: in Lumino's, drawings stand too high beside their words.
  const menu = new MenuSvg({ commands })
  for (const command of [CommandIds.runSelected, CommandIds.runAbove, CommandIds.runNotebook, CommandIds.runTwice])
    menu.addItem({ command })
  menu.addItem({ type: 'separator' })
  for (const command of [CommandIds.keep, CommandIds.letGo]) menu.addItem({ command })
  menu.addItem({ type: 'separator' })
  for (const command of [CommandIds.cancel, CommandIds.showTasks, CommandIds.settings]) menu.addItem({ command })
  const widget = new Widget()
  widget.addClass('pk-RunMenu')
  const run = button('remote', 'Run remotely', RUN_TITLE)
  run.addEventListener('click', () => void commands.execute(CommandIds.runSelected))
  const more = button('caret', '', 'More ways to run remotely')
  more.setAttribute('aria-haspopup', 'menu')
  more.addEventListener('click', () => {
    const { left, bottom } = widget.node.getBoundingClientRect()
    menu.open(left, bottom)
  })
  const refresh = (): void => {
    run.disabled = !commands.isEnabled(CommandIds.runSelected)
    run.title = run.disabled ? commands.caption(CommandIds.runSelected) : RUN_TITLE
  }
  commands.commandChanged.connect(refresh)
  refresh()
  widget.node.append(run, more)
  widget.disposed.connect(() => {
    commands.commandChanged.disconnect(refresh)
    menu.dispose()
  })
  return widget
}

const RUN_TITLE = 'Run the selected cells remotely (Ctrl+Shift+Enter)'

function button(icon: IconName, label: string, title: string): HTMLButtonElement {
  const node = document.createElement('button')
  node.type = 'button'
  node.className = 'pk-ToolbarButton'
  node.title = title
  node.setAttribute('aria-label', label === '' ? title : label)
  node.append(iconElement(icon), label)
  // The notebook keeps its focus and its selection.
  node.addEventListener('mousedown', event => event.preventDefault())
  return node
}
