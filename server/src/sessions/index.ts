/**
 * Sessions at the bridge (R33, docs/sessions.md): later cells on their way from a client to the machine that is kept for them. Frames go the
 * other way as those of any task.
 */
export { SessionCells, type SessionCellsComponents } from './cells.js'
export { sessionRoutes } from './routes.js'
