import { fromHex, toHex } from '@pekka/node/protocol'
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

  /** From now on the task has this blob; durable. An `input` is what travels to the candidates, besides the bundle. */
  async add(account: Uint8Array, task: Uint8Array, hash: Uint8Array, input = false): Promise<void> {
    await this.addAll(account, task, [hash], input)
  }

  async addAll(account: Uint8Array, task: Uint8Array, hashes: readonly Uint8Array[], input: boolean): Promise<void> {
    if (hashes.length === 0) return
    await this.#writer.write(
      hashes.flatMap(hash => [
        { type: 'put' as const, key: byTask(account, task) + toHex(hash), value: input ? INPUT : hash },
        { type: 'put' as const, key: byHash(toHex(account), toHex(hash)) + toHex(task), value: task }
      ])
    )
  }

  /** Whether the blob is one that travels to the task's candidates. */
  async isInput(account: Uint8Array, task: Uint8Array, hash: Uint8Array): Promise<boolean> {
    return (await this.table.get(byTask(account, task) + toHex(hash)))?.length === INPUT.length
  }

  async has(account: Uint8Array, task: Uint8Array, hash: Uint8Array): Promise<boolean> {
    return (await this.table.get(byTask(account, task) + toHex(hash))) !== undefined
  }

  async list(account: Uint8Array, task: Uint8Array): Promise<Uint8Array[]> {
    return (await this.#all(account, task)).map(({ hash }) => hash)
  }

  /** Blobs that didn't come with the task's offer: its outputs, and a bundle that was too large for it. */
  async outputs(account: Uint8Array, task: Uint8Array): Promise<Uint8Array[]> {
    return (await this.#all(account, task)).flatMap(({ hash, input }) => (input ? [] : [hash]))
  }

  async #all(account: Uint8Array, task: Uint8Array): Promise<{ hash: Uint8Array; input: boolean }[]> {
    const prefix = byTask(account, task)
    const found: { hash: Uint8Array; input: boolean }[] = []
    for await (const [key, value] of this.table.iterator({ gte: prefix, lt: `${prefix}~` }))
      found.push({ hash: fromHex(key.slice(prefix.length)), input: value.length === INPUT.length })
    return found
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

/** Stands in the place of the hash, which the key has too. */
const INPUT = new Uint8Array([1])

const byTask = (account: Uint8Array, task: Uint8Array): string => `blob-task/${toHex(account)}/${toHex(task)}/`
const byHash = (account: string, hash: string): string => `blob-hash/${account}/${hash}/`
