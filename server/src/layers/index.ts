/**
 * Packages on top of an image (DESIGN §7): resolved by uv under the image's versions, from wheels alone, before anything
 * is offered or costs; fetched, checked against their hashes and kept; handed to providers by hash.
 *
 * ```ts
 * const layers = new Layers({ pins: definitionsIn(folder, home), uv, downloader, clock, log }, { folder, quarantineDays: 7 })
 * await layers.start()
 * const { digest, packages } = await layers.make({ image: 'base', digest: image, requirements: ['humanize>=4'] })
 * ```
 *
 * @packageDocumentation
 */
export { Downloader } from './download.js'
export { uvOf } from './environment.js'
export { Layers, isOneSlipAway, type LayersComponents, type LayersInit } from './layers.js'
export { readLock } from './lock.js'
export { definitionsIn, type ImagePins, type PinsSource } from './pins.js'
export { layerRoutes } from './routes.js'
export { explain, type Uv } from './uv.js'
export { QUARANTINE_DAYS } from './constants.js'
