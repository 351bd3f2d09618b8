/**
 * The page's connection to bridge and wallet: address, pairing, keys, live stream, and the reason when it is off.
 *
 * ```ts
 * const connection = new Connection(components, { labBase: PageConfig.getBaseUrl(), bridge: 'auto' })
 * connection.changed.connect((_, state) => console.log(state.status))
 * connection.start()
 * ```
 */
export { addressesFor, shownAddress } from './addresses.js'
export { Connection, type ConnectionComponents, type ConnectionInit, type ConnectionState } from './connection.js'
export { optionOfPage, parsePageOption, type PageOption } from './page-option.js'
export { pair, readGrant, vouched, type Grant, type PairingComponents } from './pairing.js'
export { liveDoor, type LiveDoor } from './socket.js'
