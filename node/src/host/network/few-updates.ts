import type { Stream } from '@libp2p/interface'

/** What the library's Yamux streams are inside. */
interface OverYamux {
  /** See {@link SETTLED}. */
  state: number
  /** Bytes that the other side may have under way at most. */
  recvWindow: number
  /** Bytes of it that are left. */
  recvWindowCapacity: number
  sendWindowUpdate: () => void
}

/** States in which an update carries no flag that the other side waits for: asked for, and established. */
const SETTLED: readonly number[] = [1, 3]

const isOverYamux = (stream: object): stream is OverYamux =>
  'state' in stream &&
  typeof stream.state === 'number' &&
  'recvWindow' in stream &&
  typeof stream.recvWindow === 'number' &&
  'recvWindowCapacity' in stream &&
  typeof stream.recvWindowCapacity === 'number' &&
  'sendWindowUpdate' in stream &&
  typeof stream.sendWindowUpdate === 'function'

/**
 * Gives the other side its window back when half of it is used, as Yamux's own implementation does. The library answers each
 * message with an update, so that a small one costs two packets and the work of both. Other streams stay as they are.
 */
export function updateRarely(stream: Stream): void {
  if (!isOverYamux(stream)) return
  const update = stream.sendWindowUpdate.bind(stream)
  stream.sendWindowUpdate = () => {
    if (SETTLED.includes(stream.state) && stream.recvWindowCapacity > stream.recvWindow / 2) return
    update()
  }
}
