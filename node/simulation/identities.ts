import {
  concat,
  decodeSigned,
  decodeWitnessBlock,
  encodeWitnessBlock,
  equalBytes,
  sha256,
  signingMessage,
  toHex,
  transactionId,
  u32,
  utf8,
  witnessBlockId,
  witnessBlockMessage,
  type WitnessBlock
} from '@pekka/node/protocol'
import { openedBlock, type Member, type OpenedBlock, type PayloadTransaction } from '@pekka/node/consensus'

/**
 * Keys and signatures of a simulated world: a keyed hash that everyone can check because everyone is in this process. Nobody
 * here forges others' signatures; everything around them (messages, ids, what is covered) is as in production.
 */
export class Identities {
  readonly #secrets = new Map<string, Uint8Array>()
  readonly #transactions = new WeakMap<Uint8Array, PayloadTransaction | null>()
  readonly #blocks = new WeakMap<Uint8Array, { epoch: number; block: OpenedBlock | null }>()
  #sealed = 0

  constructor(
    private readonly network: () => Uint8Array,
    /** Members of an epoch, as far as any honest witness knows them. */
    private readonly membersOf: (epoch: number) => readonly Member[] | undefined
  ) {}

  /** A key pair by name; gives the public key. */
  create(name: string): Uint8Array {
    const secret = sha256(utf8(`secret ${name}`))
    const key = sha256(concat(utf8('public'), secret))
    this.#secrets.set(toHex(key), secret)
    return key
  }

  sign(key: Uint8Array, message: Uint8Array): Uint8Array {
    const secret = this.#secrets.get(toHex(key))
    if (secret === undefined) throw new TypeError('nobody has this key')
    const half = sha256(concat(secret, message))
    return concat(half, half)
  }

  verify(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    return this.#secrets.has(toHex(key)) && equalBytes(this.sign(key, message), signature)
  }

  /** What a host does with bytes of a transaction; null: refused. Each byte string is read once in a world, not by everyone. */
  openTransaction(bytes: Uint8Array): PayloadTransaction | null {
    const known = this.#transactions.get(bytes)
    if (known !== undefined) return known
    const opened = this.#readTransaction(bytes)
    this.#transactions.set(bytes, opened)
    return opened
  }

  #readTransaction(bytes: Uint8Array): PayloadTransaction | null {
    try {
      const signed = decodeSigned(bytes)
      const message = signingMessage(signed.transaction)
      const holds = signed.signatures.every(({ key, signature }) => this.verify(key, message, signature))
      return holds ? { ...signed, id: transactionId(signed.transaction), bytes } : null
    } catch {
      return null
    }
  }

  /** Signs a block. */
  seal(key: Uint8Array, block: WitnessBlock): OpenedBlock {
    const transactions = block.transactions.flatMap(bytes => this.openTransaction(bytes) ?? [])
    const signature = this.sign(key, witnessBlockMessage(this.network(), witnessBlockId(block)))
    const opened = openedBlock({ block, signature }, transactions)
    this.#blocks.set(opened.bytes, { epoch: block.epoch, block: opened })
    // The short cut around the decoder is checked now and then.
    if (this.#sealed++ % 32 === 0 && transactions.length === block.transactions.length) {
      const read = this.#readBlock(opened.bytes.slice(), key)
      if (read?.key !== opened.key) throw new TypeError('a sealed block reads differently')
    }
    return opened
  }

  /** Bytes of a block with somebody's signature that nobody has checked yet. */
  forge(key: Uint8Array, block: WitnessBlock): Uint8Array {
    const message = witnessBlockMessage(this.network(), witnessBlockId(block))
    return encodeWitnessBlock({ block, signature: this.sign(key, message) })
  }

  /** What a host does with a block's bytes; null: refused. */
  openBlock(bytes: Uint8Array): OpenedBlock | null {
    const known = this.#blocks.get(bytes)
    if (known !== undefined) return known.block
    const opened = this.#readBlock(bytes, null)
    if (opened !== null) this.#blocks.set(bytes, { epoch: opened.block.epoch, block: opened })
    return opened
  }

  #readBlock(bytes: Uint8Array, author: Uint8Array | null): OpenedBlock | null {
    try {
      const signed = decodeWitnessBlock(bytes)
      const { block, signature } = signed
      const key = author ?? this.membersOf(block.epoch)?.[block.author]?.key
      const message = witnessBlockMessage(block.network, witnessBlockId(block))
      if (key === undefined || !this.verify(key, message, signature)) return null
      const transactions = block.transactions.map(transaction => this.openTransaction(transaction))
      return transactions.includes(null)
        ? null
        : openedBlock(
            signed,
            transactions.filter(t => t !== null)
          )
    } catch {
      return null
    }
  }

  /** Secret seed of a witness's hash chain for one epoch. */
  chainSeed(key: Uint8Array, epoch: number): Uint8Array {
    const secret = this.#secrets.get(toHex(key))
    return sha256(concat(secret ?? key, utf8('chain'), u32(epoch)))
  }
}
