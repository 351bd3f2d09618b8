import { Socket } from 'node:net'
import type { MultiaddrConnection } from '@libp2p/interface'

/** What the library's TCP connections are inside. */
interface OverSocket {
  socket: Socket
  sendData: (data: Iterable<Uint8Array> & { byteLength: number }) => { sentBytes: number; canSendMore: boolean }
}

const isOverSocket = (connection: object): connection is OverSocket =>
  'socket' in connection &&
  connection.socket instanceof Socket &&
  'sendData' in connection &&
  typeof connection.sendData === 'function'

/**
 * Lets a TCP connection write each sealed message with one system call. The library writes length, header, body and tag by
 * themselves: four calls, and four packets (it switches Nagle's algorithm off). Other connections stay as they are.
 */
export function writeAtOnce(connection: MultiaddrConnection): void {
  if (!isOverSocket(connection)) return
  const { socket } = connection
  connection.sendData = data => {
    socket.cork()
    for (const piece of data) socket.write(piece)
    socket.uncork()
    // What the system took at once no longer counts. Above the mark a write has said so, and 'drain' will come.
    return { sentBytes: data.byteLength, canSendMore: socket.writableLength < socket.writableHighWaterMark }
  }
}
