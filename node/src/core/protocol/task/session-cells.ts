import { z } from 'zod'
import { concat, equalBytes, u64 } from '../encoding/bytes.js'
import { PekkaError } from '../errors.js'
import { deriveKey, keyInfo, sha256, taggedHash } from '../encoding/hash.js'
import { counterNonce, runBytes, type RunBinding } from './keys.js'
import type { Aead, Agreement, Signer, Verifier } from '../primitives.js'
import { bytes32, bytes64, whole } from '../encoding/schema.js'
import type { InChain } from './session.js'

/**
 * Later cells of a session: the *in* chain (R33). Every cell is sealed to the run's key (the one in its header) and signed by
 * the client's delegate over its place and the cell before, so a bridge can't replay, reorder or invent one. What is sealed is
 * an encoded bundle, as for cell 0.
 */

/** One cell's place: `index` counts from 1, `previous` is the head before it (null: it is the first). */
export interface CellPlace extends RunBinding {
  index: number
  previous: Uint8Array | null
}

/** A cell on its way, without its sealed bytes, which travel beside it. */
export const sessionCellSchema = z
  .strictObject({
    task: bytes32,
    attempt: whole.min(1),
    run: whole.min(1),
    index: whole.min(1),
    previous: bytes32.nullable(),
    /** SHA-256 and size of the sealed bytes. */
    hash: bytes32,
    size: whole,
    /** The delegate that sent the offer, and its signature over the head with this cell. */
    key: bytes32,
    signature: bytes64
  })
  .refine(({ index, previous }) => (index === 1) === (previous === null), 'the first cell alone follows none')
export type SessionCell = z.infer<typeof sessionCellSchema>

const placeBytes = (place: CellPlace): Uint8Array[] => [
  ...runBytes(place),
  u64(place.index),
  place.previous ?? new Uint8Array()
]

/**
 * Stops one cell of a session, and nothing else: the kernel stays. Signed by the delegate over its place, so a bridge can't make one up;
 * after the cell has ended it changes nothing.
 */
export const sessionInterruptSchema = z.strictObject({
  task: bytes32,
  attempt: whole.min(1),
  run: whole.min(1),
  /** 0: the offer's own program. */
  index: whole,
  key: bytes32,
  signature: bytes64
})
export type SessionInterrupt = z.infer<typeof sessionInterruptSchema>

const interruptMessage = (run: RunBinding, index: number): Uint8Array =>
  taggedHash('pekka/session-interrupt/v1', ...runBytes(run), u64(index))

/** Signs an interrupt as the delegate that sent the offer. */
export async function signInterrupt(binding: RunBinding, index: number, signer: Signer): Promise<SessionInterrupt> {
  const { task, attempt, run } = binding
  const signature = await signer.sign(interruptMessage(binding, index))
  return { task, attempt, run, index, key: signer.publicKey, signature }
}

/** @throws PekkaError CELL_REFUSED: of another session, or another key's */
export async function checkInterrupt(
  said: SessionInterrupt,
  binding: RunBinding,
  lane: Uint8Array,
  verifier: Verifier
): Promise<void> {
  const { task, attempt, run } = binding
  if (!equalBytes(said.task, task) || said.attempt !== attempt || said.run !== run)
    throw new PekkaError('CELL_REFUSED', { issue: 'it is of another session' })
  if (!equalBytes(said.key, lane)) throw new PekkaError('CELL_REFUSED', { issue: 'another key signed it' })
  if (!(await verifier.verify(said.key, interruptMessage(binding, said.index), said.signature)))
    throw new PekkaError('CELL_REFUSED', { issue: 'its signature does not hold' })
}

/** The chain's head with this cell. */
export const cellHead = (place: CellPlace, sealedHash: Uint8Array): Uint8Array =>
  taggedHash('pekka/session-cell/v1', ...placeBytes(place), sealedHash)

const sealInfo = (place: CellPlace, ephemeral: Uint8Array): Uint8Array =>
  keyInfo('pekka/session-cell-seal/v1', ...placeBytes(place), ephemeral)

const NONCE = counterNonce(0)

/**
 * Seals an encoded bundle to the run's key. Each sealing has an ephemeral key of its own: two tabs that send the next cell at
 * the same time, or one that was reloaded, never seal twice under one key. A resend sends the same bytes.
 */
export async function sealCell(
  { aead, agreement }: { aead: Aead; agreement: Agreement },
  runKey: Uint8Array,
  place: CellPlace,
  encoded: Uint8Array
): Promise<Uint8Array> {
  const ephemeral = await agreement.generate()
  const info = sealInfo(place, ephemeral.publicKey)
  const shared = await agreement.agree(ephemeral.privateKey, runKey)
  return concat(ephemeral.publicKey, await aead.seal(deriveKey(shared, info), NONCE, encoded, info))
}

/** @throws PekkaError SEAL_BROKEN when it was sealed to another run or for another place. */
export async function openCell(
  { aead, agreement }: { aead: Aead; agreement: Agreement },
  runPrivate: Uint8Array,
  place: CellPlace,
  sealed: Uint8Array
): Promise<Uint8Array> {
  if (sealed.length <= 32) throw new PekkaError('SEAL_BROKEN')
  const ephemeral = sealed.slice(0, 32)
  const info = sealInfo(place, ephemeral)
  const shared = await agreement.agree(runPrivate, ephemeral)
  return aead.open(deriveKey(shared, info), NONCE, sealed.subarray(32), info)
}

/** Signs a sealed cell as the delegate that sent the offer. */
export async function signCell(place: CellPlace, sealed: Uint8Array, signer: Signer): Promise<SessionCell> {
  const { task, attempt, run, index, previous } = place
  const hash = sha256(sealed)
  const signature = await signer.sign(cellHead(place, hash))
  return { task, attempt, run, index, previous, hash, size: sealed.length, key: signer.publicKey, signature }
}

/** The in chain of one run, as client, bridge and provider follow it: it grows by one signed cell at a time. */
export class CellChain {
  #heads: Uint8Array[] = []

  constructor(
    private readonly binding: RunBinding,
    /** Key of the delegate that sent the offer: nobody else's cells count. */
    private readonly lane: Uint8Array,
    private readonly verifier: Verifier
  ) {}

  get state(): InChain {
    return { count: this.#heads.length, head: this.#heads.at(-1) ?? null }
  }

  /** Where the next cell goes. */
  get next(): CellPlace {
    return { ...this.binding, index: this.#heads.length + 1, previous: this.#heads.at(-1) ?? null }
  }

  /**
   * Takes the next cell; one that is there already is taken again without a change.
   * @returns whether it is new
   * @throws PekkaError CELL_REFUSED: of another session, key or place, after a gap, or another one where one stands already
   */
  async add(cell: SessionCell): Promise<boolean> {
    const refuse = (issue: string): PekkaError => new PekkaError('CELL_REFUSED', { issue })
    const { network, task, attempt, run } = this.binding
    if (!equalBytes(cell.task, task) || cell.attempt !== attempt || cell.run !== run) {
      throw refuse('it is of another session')
    }
    if (!equalBytes(cell.key, this.lane)) throw refuse('another key signed it')
    const place = { network, task, attempt, run, index: cell.index, previous: cell.previous }
    const head = cellHead(place, cell.hash)
    if (!(await this.verifier.verify(cell.key, head, cell.signature))) throw refuse('its signature does not hold')
    // Looked at after the wait: another cell may have come meanwhile.
    const known = this.#heads[cell.index - 1]
    if (known !== undefined) {
      if (equalBytes(known, head)) return false
      throw refuse('another cell stands in its place')
    }
    if (cell.index !== this.#heads.length + 1) throw refuse('cells before it are missing')
    const last = this.#heads.at(-1)
    const follows =
      last === undefined ? cell.previous === null : cell.previous !== null && equalBytes(cell.previous, last)
    if (!follows) throw refuse('it follows another cell')
    this.#heads.push(head)
    return true
  }
}
