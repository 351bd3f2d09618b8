import { PekkaError, inputAnswerSchema, inputRequestSchema } from '@pekka/node/protocol'
import { SMALL_BODY } from '../api/constants.js'
import { route, type Route } from '../api/route.js'
import type { Inputs } from './inputs.js'

/** @param inputs null: this bridge fetches none */
export const inputRoutes = (inputs: Inputs | null): Route[] => [
  route({
    method: 'post',
    path: '/v1/inputs',
    summary: 'Data of an address, fetched for a task; answered when providers can have it',
    auth: 'token',
    body: inputRequestSchema,
    bodyLimit: SMALL_BODY,
    answer: inputAnswerSchema,
    handle: ({ body }) => {
      if (inputs === null)
        throw new PekkaError('INPUT_REFUSED', { url: body.url, issue: 'this bridge fetches no inputs' })
      return inputs.fetch(body.url)
    }
  })
]
