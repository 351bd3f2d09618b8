import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { equalBytes, MAX_BLOCK_BYTES, PekkaError, u32, u64 } from '@pekka/node/protocol'

/** Two places that are written in turn, so that a write which a power cut tears leaves the one before it whole. */
const SLOT_BYTES = MAX_BLOCK_BYTES + (64 << 10)
/** Number of the write, length, SHA-256 of what follows. */
const HEADER_BYTES = 8 + 4 + 32

/**
 * What a witness knows of its last proposal. `never`: it has none. `lost`: it may have had one, so it must be silent until no former
 * block of its can matter.
 */
export type Proposed = { status: 'never' } | { status: 'lost' } | { status: 'proposed'; bytes: Uint8Array }

/**
 * The last block that this witness signed, in a file that is kept apart from the database: a witness whose database is lost, or was set
 * back to a copy, would else write a second block for a round, which is equivocation. The file is made, empty, with the block
 * key; where it is missing, the last proposal counts as lost.
 */
export class LastProposed {
  #handle: FileHandle | null = null
  #writes = 0
  #proposed: Proposed = { status: 'lost' }

  constructor(private readonly path: string) {}

  get proposed(): Proposed {
    return this.#proposed
  }

  /** Made together with a new block key: nothing was ever proposed with it. Throws where the file is there. */
  static async create(path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const handle = await open(path, 'wx', 0o600)
    await handle.sync()
    await handle.close()
    await syncFolder(dirname(path))
  }

  async open(): Promise<void> {
    try {
      this.#handle = await open(this.path, 'r+')
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
      return
    }
    const { size } = await this.#handle.stat()
    const slots = await Promise.all([0, 1].map(slot => readSlot(this.#needHandle(), slot)))
    const newest = slots.reduce((a, b) => (a === null || (b !== null && b.write > a.write) ? b : a), null)
    if (newest !== null) {
      this.#writes = newest.write
      this.#proposed = { status: 'proposed', bytes: newest.bytes }
    } else if (size <= SLOT_BYTES) {
      // Nothing, or a torn first write: whatever it was never left the process.
      this.#proposed = { status: 'never' }
    }
  }

  /** Resolves once it is on disk: only then may the block leave the process. */
  async write(bytes: Uint8Array): Promise<void> {
    if (bytes.length > MAX_BLOCK_BYTES) throw new PekkaError('BLOCK_INVALID', { rule: 'size' })
    const made = this.#handle === null
    this.#handle ??= await open(this.path, constants.O_RDWR | constants.O_CREAT, 0o600)
    const write = this.#writes + 1
    const head = new Uint8Array([...u64(write), ...u32(bytes.length), ...digestOf(write, bytes)])
    const at = ((write - 1) % 2) * SLOT_BYTES
    await this.#handle.write(Buffer.concat([head, bytes]), 0, head.length + bytes.length, at)
    await this.#handle.datasync()
    if (made) await syncFolder(dirname(this.path))
    this.#writes = write
    this.#proposed = { status: 'proposed', bytes }
  }

  async close(): Promise<void> {
    await this.#handle?.close()
    this.#handle = null
  }

  #needHandle(): FileHandle {
    if (this.#handle === null) throw new TypeError('the file is not open')
    return this.#handle
  }
}

async function readSlot(handle: FileHandle, slot: number): Promise<{ write: number; bytes: Uint8Array } | null> {
  const head = Buffer.alloc(HEADER_BYTES)
  if ((await handle.read(head, 0, HEADER_BYTES, slot * SLOT_BYTES)).bytesRead < HEADER_BYTES) return null
  const write = Number(head.readBigUInt64BE(0))
  const length = head.readUInt32BE(8)
  if (write === 0 || length > MAX_BLOCK_BYTES) return null
  const bytes = new Uint8Array(length)
  const { bytesRead } = await handle.read(bytes, 0, length, slot * SLOT_BYTES + HEADER_BYTES)
  return bytesRead === length && equalBytes(head.subarray(12), digestOf(write, bytes)) ? { write, bytes } : null
}

const digestOf = (write: number, bytes: Uint8Array): Uint8Array =>
  new Uint8Array(createHash('sha256').update(u64(write)).update(bytes).digest())

/** A new file's name is on disk only once its folder is. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  await handle.sync()
  await handle.close()
}
