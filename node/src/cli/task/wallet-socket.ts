import { request } from 'node:http'
import { z } from 'zod'
import type { Acted, PartlySigned } from '../../core/client/index.js'
import {
  PekkaError,
  actedSchema,
  bytes32,
  bytes64,
  credits,
  decodeCbor,
  delegateSchema,
  encodeCbor,
  fromProblem,
  isPekkaError
} from '../../core/protocol/index.js'
import {
  ownerAnswerSchema,
  signAnswerSchema,
  submitAnswerSchema,
  type Body,
  type OwnerAnswer,
  type Policy
} from '../../core/protocol/index.js'

/** The wallet process of the same user, over its unix socket. */
export class WalletSocket {
  constructor(private readonly init: { path: string }) {}

  /**
   * Makes `key` a delegate, or renews it. The view key comes along: the caller is the user.
   * @param perTask what one task must be able to cost, micro-credits
   */
  delegate(key: Uint8Array, perTask = 0n) {
    return this.#call('POST', '/v1/delegates', { key, perTask }, grantSchema)
  }

  /** The account's signature over a bridge's challenge (R38). */
  signToken(challenge: Uint8Array) {
    return this.#call('POST', '/v1/token-signatures', { challenge }, tokenSignatureSchema)
  }

  /** A one-time pairing code, good for 60 s. */
  async code(): Promise<string> {
    return (await this.#call('POST', '/v1/codes', {}, codeSchema)).code
  }

  async draw(amount: bigint): Promise<void> {
    await this.#call('POST', '/v1/faucet', { amount }, z.unknown())
  }

  /** Whether the account is on the network and has any. */
  async hasCredits(): Promise<boolean> {
    try {
      return (await this.#call('GET', '/v1/account', {}, creditsSchema)).balance > 0n
    } catch (error) {
      if (isPekkaError(error) && error.code === 'ACCOUNT_UNKNOWN') return false
      throw error
    }
  }

  /** Takes a delegate's rights away. */
  async revoke(key: Uint8Array): Promise<void> {
    await this.#call('POST', '/v1/revocations', { key }, z.unknown())
  }

  /** An account that this wallet's key signs for; null: the wallet's own. */
  owner(account: Uint8Array | null = null): Promise<OwnerAnswer> {
    return this.#call('POST', '/v1/owner', { account }, ownerAnswerSchema)
  }

  /** This wallet's key, for others to name. */
  async key(): Promise<Uint8Array> {
    return (await this.#call('GET', '/v1/owner/key', {}, keysSchema)).key
  }

  /** Has the owner sign and send a transaction, or sign it for others to sign too. */
  act(body: Body, account: Uint8Array | null = null): Promise<Acted> {
    return this.#call('POST', '/v1/owner/transactions', { body, account }, actedSchema)
  }

  sign({ transaction, signatures }: PartlySigned): Promise<PartlySigned & { policy: Policy }> {
    return this.#call('POST', '/v1/owner/signatures', { transaction, signatures }, signAnswerSchema)
  }

  async submit(parts: readonly PartlySigned[]): Promise<Uint8Array> {
    return (await this.#call('POST', '/v1/owner/submissions', { parts }, submitAnswerSchema)).id
  }

  rotate(): Promise<Acted> {
    return this.#call('POST', '/v1/owner/rotation', {}, actedSchema)
  }

  async use(account: Uint8Array): Promise<void> {
    await this.#call('POST', '/v1/owner/account', { account }, z.unknown())
  }

  /** How far this wallet has seen the ledger of the bridge's network; −1: nothing of it. */
  seen(): Promise<{ network: Uint8Array; index: number }> {
    return this.#call('GET', '/v1/owner/seen', {}, seenSchema)
  }

  async forgetSeen(network: Uint8Array): Promise<void> {
    await this.#call('POST', '/v1/owner/seen/forget', { network }, z.unknown())
  }

  /** @throws PekkaError WALLET_UNREACHABLE, or the wallet's own. */
  async #call<T>(method: string, path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const { status, bytes } = await this.#exchange(method, path, method === 'GET' ? new Uint8Array() : encodeCbor(body))
    if (status === 200) return schema.parse(decodeCbor(bytes))
    let problem: { code?: unknown } = {}
    try {
      problem = z.looseObject({ code: z.string() }).parse(JSON.parse(new TextDecoder().decode(bytes)))
    } catch {
      // Not ours: told as unreachable below.
    }
    throw 'code' in problem ? fromProblem(problem) : new PekkaError('WALLET_UNREACHABLE')
  }

  #exchange(method: string, path: string, body: Uint8Array): Promise<{ status: number; bytes: Uint8Array }> {
    return new Promise((resolve, reject) => {
      const unreachable = (cause: unknown) => reject(new PekkaError('WALLET_UNREACHABLE', {}, { cause }))
      const call = request({ socketPath: this.init.path, method, path, headers: { host: 'wallet' } }, response => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode ?? 0, bytes: new Uint8Array(Buffer.concat(chunks)) })
        )
        response.on('error', unreachable)
      })
      call.on('error', unreachable)
      call.end(body)
    })
  }
}

const grantSchema = z.object({
  network: bytes32,
  account: bytes32,
  bridge: bytes32,
  base: z.string(),
  viewKey: bytes32,
  delegate: delegateSchema,
  owner: bytes32
})
const tokenSignatureSchema = z.object({ key: bytes32, signature: bytes64 })
const creditsSchema = z.object({ balance: credits })
const seenSchema = z.object({ network: bytes32, index: z.number().int().min(-1) })
const keysSchema = z.object({ key: bytes32 })
const codeSchema = z.object({ code: z.string() })
