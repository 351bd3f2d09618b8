import { ToolbarButton } from '@jupyterlab/ui-components'
import type { CommandRegistry } from '@lumino/commands'
import { Menu, Panel } from '@lumino/widgets'
import { labIcon } from '../line/index.js'
import { CommandIds } from './command-ids.js'

/** `Run remotely ⌄` in the notebook's toolbar: a click runs the selected cells, the arrow offers the rest. */
export function createRunMenu(commands: CommandRegistry): Panel {
  const menu = new Menu({ commands })
  for (const command of [CommandIds.runSelected, CommandIds.runAbove, CommandIds.runNotebook]) menu.addItem({ command })
  menu.addItem({ type: 'separator' })
  for (const command of [CommandIds.cancel, CommandIds.showTasks, CommandIds.settings]) menu.addItem({ command })
  const panel = new Panel()
  panel.addClass('pk-RunMenu')
  panel.addClass('jp-Toolbar-item')
  const run = new ToolbarButton({
    label: 'Run remotely',
    icon: labIcon('remote'),
    tooltip: 'Run the selected cells remotely (Ctrl+Shift+Enter)',
    onClick: () => void commands.execute(CommandIds.runSelected)
  })
  const more = new ToolbarButton({
    icon: labIcon('caret'),
    tooltip: 'More ways to run remotely',
    onClick: () => {
      const { left, bottom } = panel.node.getBoundingClientRect()
      menu.open(left, bottom)
    }
  })
  more.addClass('pk-RunMenu-more')
  panel.addWidget(run)
  panel.addWidget(more)
  panel.disposed.connect(() => menu.dispose())
  return panel
}
