import { layerAnswerSchema, layerRequestSchema, PekkaError } from '@pekka/node/protocol'
import { SMALL_BODY } from '../api/constants.js'
import { route, type Route } from '../api/route.js'
import type { Layers } from './layers.js'

/** @param layers null: this bridge adds no packages */
export const layerRoutes = (layers: Layers | null): Route[] => [
  route({
    method: 'post',
    path: '/v1/layers',
    summary: 'Packages on top of an image, resolved, fetched and checked; answered when providers can have them',
    auth: 'token',
    body: layerRequestSchema,
    bodyLimit: SMALL_BODY,
    answer: layerAnswerSchema,
    handle: ({ body }) => {
      if (layers === null) throw new PekkaError('LAYERS_OFF')
      return layers.make(body)
    }
  })
]
