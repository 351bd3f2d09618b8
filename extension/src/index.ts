/**
 * PEKKA in JupyterLab: run a cell, a selection or a notebook on the network and get its output in the same cells.
 *
 * @packageDocumentation
 */
import { commands } from './plugins/commands.js'
import { core } from './plugins/core.js'
import { notebook } from './plugins/notebook.js'
import { panel } from './plugins/panel.js'
import { session } from './plugins/session.js'

export default [core, commands, notebook, panel, session]
