import { chmod, mkdir, open, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createExclusive } from '../../core/client/index.js'
import { replaceFile } from '../../host/files/index.js'
import { z } from 'zod'
import { accountId, fromHex, toHex, type Policy, type Random, type Signer } from '../../core/protocol/index.js'
import { createSigner } from '../../host/crypto/index.js'
import { SeenCheckpoints } from './seen.js'

/** Keys that were rotated out and are kept: nothing needs them, but a key that was thrown away too early can't be had again. */
const MAX_FORMER = 16

const hex = z.string().regex(/^[0-9a-f]{64}$/)
const fileSchema = z.discriminatedUnion('v', [
  z.strictObject({ v: z.literal(1), ed25519: hex, viewKey: hex }),
  z.strictObject({
    v: z.literal(2),
    /** The key that signs, as its seed. */
    ed25519: hex,
    viewKey: hex,
    /** The key that is to sign once the ledger has it: on the disk before anybody hears of it. */
    next: hex.nullable(),
    /** The network on which it is to: what another one says of it, even a made-up one, changes nothing here. */
    nextNetwork: hex.nullable(),
    /** Keys from before, newest first. */
    former: z.array(hex).max(MAX_FORMER),
    /** Account by network, where it isn't the one that begins with this key: its keys were rotated, or it was recovered. */
    accounts: z.record(hex, hex)
  })
])
type Content = Omit<Extract<z.infer<typeof fileSchema>, { v: 2 }>, 'v'>

/** The secrets of one user: the account's key and the view key. They never leave this process but as PROTOCOL §10 says. */
export class Vault {
  #owner: Signer
  #next: Signer | null
  /** Changes come one after the other: each writes the whole file, from what the one before left. */
  readonly #alone = createExclusive()

  constructor(
    private readonly path: string,
    private content: Content,
    /** How far each network's ledger was seen. */
    readonly seen: SeenCheckpoints
  ) {
    this.#owner = createSigner(fromHex(content.ed25519))
    this.#next = content.next === null ? null : createSigner(fromHex(content.next))
  }

  /** Signs for the account, lane 0. */
  get owner(): Signer {
    return this.#owner
  }

  /** The key that a rotation under way names, on whichever network: for people, see {@link nextOn}. */
  get next(): Signer | null {
    return this.#next
  }

  /** The key that a rotation under way on this network names. */
  nextOn(network: Uint8Array): Signer | null {
    return this.content.nextNetwork === toHex(network) ? this.#next : null
  }

  /** 32 bytes; all task secrets derive from it (R6). */
  get viewKey(): Uint8Array {
    return fromHex(this.content.viewKey)
  }

  /** Of the account that this key begins, on a network that has none of it yet. */
  get policy(): Policy {
    return { threshold: 1, keys: [this.#owner.publicKey] }
  }

  /** The account on a network. It keeps its id when its keys change. */
  accountOn(network: Uint8Array): Uint8Array {
    const known = this.content.accounts[toHex(network)]
    return known === undefined ? accountId(this.policy) : fromHex(known)
  }

  /** Whether it was proved on that very network that this wallet's key signs for {@link accountOn}: it was rotated there, or is used. */
  knows(network: Uint8Array): boolean {
    return this.content.accounts[toHex(network)] !== undefined
  }

  /**
   * A new key for a rotation on this network, or that of one that hasn't ended there; it is on the disk when this resolves. One that
   * hasn't ended on another network, which may be gone, is given up; its key stays among the former ones.
   */
  async makeNext(random: Random, network: Uint8Array): Promise<Signer> {
    return await this.#alone(async () => {
      const pending = this.nextOn(network)
      if (pending !== null) return pending
      const seed = random.bytes(32)
      const { content } = this
      const former = [...(content.next === null ? [] : [content.next]), ...content.former].slice(0, MAX_FORMER)
      await this.#write({ ...content, next: toHex(seed), nextNetwork: toHex(network), former })
      return (this.#next = createSigner(seed))
    })
  }

  /** The new key is the account's on this network: from here on it signs. Who says so after another did changes nothing. */
  async takeNext(network: Uint8Array, next: Signer): Promise<void> {
    await this.#alone(async () => {
      const { content } = this
      if (content.next === null || this.nextOn(network) !== next) return
      const accounts = { ...content.accounts, [toHex(network)]: toHex(this.accountOn(network)) }
      const former = [content.ed25519, ...content.former].slice(0, MAX_FORMER)
      await this.#write({ ...content, ed25519: content.next, next: null, nextNetwork: null, former, accounts })
      this.#owner = next
      this.#next = null
    })
  }

  /** From here on this key acts for that account there: it was recovered to this key, or is shared with it. */
  async use(network: Uint8Array, account: Uint8Array): Promise<void> {
    await this.#alone(async () => {
      const { accounts } = this.content
      await this.#write({ ...this.content, accounts: { ...accounts, [toHex(network)]: toHex(account) } })
    })
  }

  async #write(content: Content): Promise<void> {
    await replaceFile(this.path, textOf(content))
    // A power cut must not bring back the file from before a key that the ledger is told of next.
    const folder = await open(dirname(this.path))
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
    this.content = content
  }
}

const textOf = (content: Content): string => `${JSON.stringify({ v: 2, ...content })}\n`

/**
 * Opens the wallet in `<home>/wallet/wallet.json` (mode 0600), or makes a new one there. One of version 1 is read as it is, and written as
 * version 2 when its keys change.
 * @throws TypeError where the file is not a wallet of these versions; it is never overwritten.
 */
export async function openVault(home: string, random: Random): Promise<Vault> {
  const directory = join(home, 'wallet')
  const path = join(directory, 'wallet.json')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    const keys = { ed25519: toHex(random.bytes(32)), viewKey: toHex(random.bytes(32)) }
    text = `${JSON.stringify({ v: 1, ...keys })}\n`
    await replaceFile(path, text)
  }
  await chmod(path, 0o600)
  const parsed = fileSchema.safeParse(JSON.parse(text))
  if (!parsed.success) throw new TypeError(`${path} is not a wallet of this version; it was left as it is`)
  const { v: _, ...keys } = parsed.data
  const seen = await SeenCheckpoints.open(join(directory, 'seen.json'))
  return new Vault(path, { next: null, nextNetwork: null, former: [], accounts: {}, ...keys }, seen)
}
