/**
 * Live output over socket.io (core/protocol/wire/socket.ts): each reader gets a task's entries in order from the number it has,
 * with at most a window unacknowledged, and hears of its own tasks and money.
 */
export { LiveStream, type LiveStreamComponents } from './live-stream.js'
export { packEntries } from './packing.js'
