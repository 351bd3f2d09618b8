/**
 * Packages on top of an image: wheels of strangers, checked, unpacked without running anything of them, kept by hash, and
 * put together as a read-only site folder for one sandbox.
 *
 * ```ts
 * const store = new WheelStore({ folder: '/var/lib/pekka/layers' })
 * const wheels = await store.ensure(layer.packages, (wheel, path) => download(wheel.hash, path))
 * await linkSite(wheels, '/…/extras/4f2a/layer')
 * ```
 *
 * @packageDocumentation
 */
export { WheelStore, checkHash, linkFile, linkSite } from './store.js'
export type { FetchWheel, UnpackedWheel, WheelStoreInit } from './store.js'
export { makeRoom, type RoomInit } from './room.js'
export { unpackWheel, type SiteFile, type WheelContent } from './wheel.js'
