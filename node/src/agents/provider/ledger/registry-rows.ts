import { makesCheckpoints, readAnchor } from '@pekka/node/client'
import {
  MAX_CLAIMS,
  MAX_STAGES,
  PekkaError,
  compareBytes,
  decodeProof,
  epochBefore,
  isStage,
  toHex,
  verifyProof,
  type Fact,
  type HistoryPage,
  type HistoryQuery,
  type ImageRow,
  type LedgerAccess,
  type Trust,
  type Verifier
} from '@pekka/node/protocol'

/** Rows of a page, and pages at most, where nothing is proved: 40,000 images. */
const PAGE = 200
const MAX_PAGES = 200

export interface RegistryRowsComponents {
  ledger: Pick<LedgerAccess, 'genesis' | 'prove' | 'history'>
  verifier: Verifier
}

/**
 * What the registry says of images. Whoever answers may be a bridge that relays, and one word of it, *retired*, ends this machine's sales:
 * so it is believed by proof alone, from the genesis on, whose hash is the network's id.
 */
export class RegistryRows {
  /** Whom proofs begin with; null: the network makes none. Later stages of the way are kept. */
  #trust: Trust | null | undefined

  constructor(
    private readonly components: RegistryRowsComponents,
    private readonly network: Uint8Array
  ) {}

  /**
   * Rows by digest in hexadecimal; nothing where the registry has none.
   * @throws PekkaError PROOF_INVALID, PROOF_MISSING, LINK_PROTOCOL, LEDGER_UNREACHABLE
   */
  async of(digests: readonly Uint8Array[], signal: AbortSignal): Promise<Map<string, ImageRow>> {
    if (this.#trust === undefined) {
      const genesis = await this.components.ledger.genesis(signal)
      const trust = readAnchor(genesis, this.network)
      this.#trust ??= makesCheckpoints(genesis) ? trust : null
    }
    if (this.#trust === null) return await this.#told(digests, signal)
    const rows = new Map<string, ImageRow>()
    for (let at = 0; at < digests.length; at += MAX_CLAIMS) {
      const part = digests.slice(at, at + MAX_CLAIMS)
      const facts = await this.#proven(this.#trust, part, signal)
      for (const name of part.map(toHex)) {
        const fact = facts.find(one => one.kind === 'image' && toHex(one.id) === name)
        if (fact?.kind !== 'image') throw new PekkaError('PROOF_INVALID', { issue: 'it shows another image' })
        if (fact.row !== null) rows.set(name, fact.row)
      }
    }
    return rows
  }

  async #proven(first: Trust, digests: readonly Uint8Array[], signal: AbortSignal): Promise<Fact[]> {
    const { ledger, verifier } = this.components
    let trust = first
    for (let stages = 0; stages <= MAX_STAGES; stages++) {
      const since = trust.epoch === 0 ? {} : { since: trust.epoch }
      const rows = digests.map(id => ({ table: 'image' as const, id }))
      const proof = await ledger.prove({ kind: 'rows', rows, ...since }, signal)
      if (proof === null) throw new PekkaError('PROOF_MISSING')
      const parts = decodeProof(proof)
      if (epochBefore(parts) !== trust.epoch) break
      const proven = await verifyProof(proof, trust, verifier)
      if (!isStage(parts)) return proven.facts
      this.#trust = trust = proven.trust
    }
    throw new PekkaError('PROOF_INVALID', { issue: 'it leads nowhere' })
  }

  /** As whoever answers tells it, page by page: of it no more than what was asked for is kept. */
  async #told(digests: readonly Uint8Array[], signal: AbortSignal): Promise<Map<string, ImageRow>> {
    const wanted = new Set(digests.map(toHex))
    const rows = new Map<string, ImageRow>()
    let after: Uint8Array | null = null
    for (let pages = 0; pages < MAX_PAGES; pages++) {
      const query: HistoryQuery<'images'> = { name: null, after, count: PAGE }
      const page: HistoryPage<'images'> = await this.components.ledger.history({ kind: 'images', query }, signal)
      for (const row of page.images) if (wanted.has(toHex(row.digest))) rows.set(toHex(row.digest), row)
      if (page.next === null) return rows
      if (after !== null && compareBytes(page.next, after) <= 0) break
      after = page.next
    }
    throw new PekkaError('LINK_PROTOCOL', { issue: 'the list of images has no end' })
  }
}
