import {
  cellSubmitSchema,
  cellTakenSchema,
  cellsSchema,
  interruptedSchema,
  sessionInterruptSchema
} from '@pekka/node/protocol'
import { CELL_BODY } from '../api/constants.js'
import { route, type Route } from '../api/route.js'
import type { SessionCells } from './cells.js'

/** Routes about sessions (R33). */
export function sessionRoutes(cells: SessionCells): Route[] {
  return [
    route({
      method: 'post',
      path: '/v1/tasks/:task/cells',
      summary: 'A later cell of a session; answered when it is on the disk',
      auth: 'token',
      body: cellSubmitSchema,
      bodyLimit: CELL_BODY,
      status: 202,
      answer: cellTakenSchema,
      handle: async ({ record, body }) => ({ count: await cells.submit(record, body) })
    }),
    route({
      method: 'get',
      path: '/v1/tasks/:task/cells',
      summary: 'The later cells of a session’s newest run, as they were signed',
      auth: 'token',
      answer: cellsSchema,
      handle: ({ record }) => cells.list(record)
    }),
    route({
      method: 'post',
      path: '/v1/tasks/:task/interrupts',
      summary: 'Stops one cell of a session; its kernel stays',
      auth: 'token',
      body: sessionInterruptSchema,
      status: 202,
      answer: interruptedSchema,
      handle: async ({ record, body }) => ({ told: await cells.interrupt(record, body) })
    })
  ]
}
