/** What a page's WebCrypto can do. `subtle` is missing where the page is no secure context. */
export interface Support {
  subtle?: SubtleCrypto
  ed25519: boolean
  x25519: boolean
}

async function can(attempt: () => Promise<unknown>): Promise<boolean> {
  try {
    await attempt()
    return true
  } catch {
    return false
  }
}

/** Finds out by trying: browsers have the curves since 2023 to 2025, some behind a setting. */
export async function findSupport(subtle: SubtleCrypto | undefined): Promise<Support> {
  if (subtle === undefined) return { ed25519: false, x25519: false }
  const [ed25519, x25519] = await Promise.all([
    can(() => subtle.generateKey('Ed25519', false, ['sign', 'verify'])),
    can(() => subtle.generateKey('X25519', false, ['deriveBits']))
  ])
  return { subtle, ed25519, x25519 }
}
