import { toHex } from '@pekka/node/protocol'
import { GroupWriter } from './group-writer.js'
import type { Table } from './store.js'

/** Which tasks name which sealed blobs of an account: who may read one, and when it may go. */
export class BlobRefs {
  readonly #writer: GroupWriter

  constructor(
    private readonly table: Table,
    writer: GroupWriter = new GroupWriter(table)
  ) {
    this.#writer = writer
  }

  /** From now on the task has this blob; durable. */
  async add(account: Uint8Array, task: Uint8Array, hash: Uint8Array): Promise<void> {
    await this.#writer.write([
      { type: 'put', key: byTask(account, task) + toHex(hash), value: hash },
      { type: 'put', key: byHash(toHex(account), toHex(hash)) + toHex(task), value: task }
    ])
  }

  async has(account: Uint8Array, task: Uint8Array, hash: Uint8Array): Promise<boolean> {
    return (await this.table.get(byTask(account, task) + toHex(hash))) !== undefined
  }

  async list(account: Uint8Array, task: Uint8Array): Promise<Uint8Array[]> {
    const prefix = byTask(account, task)
    const hashes: Uint8Array[] = []
    for await (const [, hash] of this.table.iterator({ gte: prefix, lt: `${prefix}~` })) hashes.push(hash)
    return hashes
  }

  async used(account: string, hash: string): Promise<boolean> {
    const prefix = byHash(account, hash)
    for await (const _ of this.table.iterator({ gte: prefix, lt: `${prefix}~`, limit: 1 })) return true
    return false
  }

  /** Lets go of a task's blobs. @returns those that no other task has */
  async release(account: Uint8Array, task: Uint8Array): Promise<Uint8Array[]> {
    const prefix = byTask(account, task)
    const hashes = await this.list(account, task)
    for (const hash of hashes)
      await this.#writer.write([
        { type: 'del', key: prefix + toHex(hash) },
        { type: 'del', key: byHash(toHex(account), toHex(hash)) + toHex(task) }
      ])
    const free: Uint8Array[] = []
    for (const hash of hashes) if (!(await this.used(toHex(account), toHex(hash)))) free.push(hash)
    return free
  }
}

const byTask = (account: Uint8Array, task: Uint8Array): string => `blob-task/${toHex(account)}/${toHex(task)}/`
const byHash = (account: string, hash: string): string => `blob-hash/${account}/${hash}/`
