/** Whoever may be told that another writer took over a cell. */
export interface Claimant {
  superseded(cell: string): void
}

/**
 * One writer per cell within a page. A second run of the same cell takes it over; the first goes on, but its output is shown
 * in the panel only.
 */
export class CellClaims {
  private readonly holders = new Map<string, Claimant>()

  holder(cell: string): Claimant | undefined {
    return this.holders.get(cell)
  }

  claim(cell: string, claimant: Claimant): void {
    const before = this.holders.get(cell)
    this.holders.set(cell, claimant)
    if (before !== undefined && before !== claimant) before.superseded(cell)
  }

  release(cell: string, claimant: Claimant): void {
    if (this.holders.get(cell) === claimant) this.holders.delete(cell)
  }
}

/** The part of the Web Locks API that is used; `navigator.locks` in a page. */
export interface Locks {
  request(name: string, options: { signal?: AbortSignal }, held: () => Promise<void>): Promise<unknown>
}

/**
 * Waits until this page is the one that writes a task's cells, among all pages of the browser profile (the same notebook in
 * two tabs). The lock is free again when `release` is called or the page goes away. Where the API is missing (no secure
 * context), every page holds it, and writes the model that it has for itself; pages that share a model still take turns (run/company.ts).
 */
export async function writerLock(
  task: string,
  signal: AbortSignal,
  locks: Locks | undefined
): Promise<{ release: () => void }> {
  if (locks === undefined) return { release: () => undefined }
  return await new Promise((resolve, reject) => {
    locks
      .request(`pekka:writer:${task}`, { signal }, () => new Promise<void>(free => resolve({ release: free })))
      .catch(reject)
  })
}
