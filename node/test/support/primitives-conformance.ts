import type { Primitives, Signer, ViewKey } from '@pekka/node/protocol'

/** One implementation of the primitives under test. */
export interface PrimitivesUnderTest {
  primitives: Primitives
  /** A signer for a seed; absent where the implementation only makes keys that nobody can read. */
  signer?: (seed: Uint8Array) => Promise<Signer>
  /** A signer with a fresh key. */
  freshSigner: () => Promise<Signer>
  viewKey: (secret: Uint8Array) => Promise<ViewKey>
}

/** docs/vectors/primitives.json. All byte strings are lower-case hexadecimal. */
export interface PrimitiveVectors {
  aead: { name: string; key: string; nonce: string; plaintext: string; associated: string; sealed: string }[]
  x25519: {
    agree: { name: string; privateKey: string; publicKey: string; shared: string }[]
    publicKey: { name: string; privateKey: string; publicKey: string }[]
    /** Public keys of low order. */
    refused: string[]
  }
  ed25519: {
    valid: { name: string; seed: string; publicKey: string; message: string; signature: string }[]
    refused: { name: string; publicKey: string; message: string; signature: string }[]
  }
  hkdf: { name: string; secret: string; info: string; key: string }[]
}

export interface ConformanceCase {
  name: string
  /** Throws where the implementation does not conform. */
  run: (under: PrimitivesUnderTest) => Promise<void>
}

const hex = (bytes: Uint8Array): string => Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
const bytes = (text: string): Uint8Array => Uint8Array.from(text.match(/../g) ?? [], pair => Number.parseInt(pair, 16))
const same = (what: string, actual: unknown, expected: unknown): void => {
  if (actual !== expected) throw new Error(`${what}: ${String(actual)} instead of ${String(expected)}`)
}

async function refused(what: string, code: string, attempt: Promise<unknown>): Promise<void> {
  const error: unknown = await attempt.then(
    () => undefined,
    (reason: unknown) => reason
  )
  if (error === undefined) throw new Error(`${what}: accepted`)
  same(`${what}: code`, (error as { code?: unknown }).code, code) // any error may come; its code is looked at
}

/**
 * What every implementation of the primitives must do. Plain functions without a test runner, so that the same cases run in Node
 * and inside a browser's page; see {@link registerConformance} for mocha.
 */
export function conformanceCases(vectors: PrimitiveVectors): ConformanceCase[] {
  const cases: ConformanceCase[] = []
  const add = (name: string, run: ConformanceCase['run']): void => void cases.push({ name, run })
  for (const vector of vectors.aead) {
    const [key, nonce, plaintext, associated] = [vector.key, vector.nonce, vector.plaintext, vector.associated].map(
      bytes
    )
    if (key === undefined || nonce === undefined || plaintext === undefined || associated === undefined) continue
    add(`AEAD ${vector.name}: seals and opens`, async ({ primitives: { aead } }) => {
      same('sealed', hex(await aead.seal(key, nonce, plaintext, associated)), vector.sealed)
      same('opened', hex(await aead.open(key, nonce, bytes(vector.sealed), associated)), vector.plaintext)
    })
    add(`AEAD ${vector.name}: refuses any change`, async ({ primitives: { aead } }) => {
      const sealed = bytes(vector.sealed)
      for (const at of [0, sealed.length - 1]) {
        const changed = sealed.slice()
        changed[at] = (changed[at] ?? 0) ^ 1
        await refused(`byte ${at}`, 'SEAL_BROKEN', aead.open(key, nonce, changed, associated))
      }
      const other = (from: Uint8Array): Uint8Array => from.map((byte, i) => (i === 0 ? byte ^ 1 : byte))
      await refused('key', 'SEAL_BROKEN', aead.open(other(key), nonce, sealed, associated))
      await refused('nonce', 'SEAL_BROKEN', aead.open(key, other(nonce), sealed, associated))
      await refused('associated', 'SEAL_BROKEN', aead.open(key, nonce, sealed, Uint8Array.of(...associated, 0)))
      await refused('cut', 'SEAL_BROKEN', aead.open(key, nonce, sealed.subarray(0, sealed.length - 1), associated))
      await refused('shorter than a tag', 'SEAL_BROKEN', aead.open(key, nonce, new Uint8Array(15), associated))
    })
  }
  add('AEAD seals views into larger buffers and a megabyte', async ({ primitives: { aead, random } }) => {
    const [key, nonce] = [random.bytes(40).subarray(4, 36), random.bytes(20).subarray(3, 15)]
    const plaintext = random.bytes((1 << 20) + 9).subarray(9)
    const sealed = await aead.seal(key, nonce, plaintext, new Uint8Array(0))
    same('length', sealed.length, plaintext.length + 16)
    const opened = await aead.open(key, nonce, sealed, new Uint8Array(0))
    same('opened', opened.length === plaintext.length && opened.every((byte, i) => byte === plaintext[i]), true)
  })

  for (const vector of vectors.x25519.agree) {
    add(`X25519 ${vector.name}: agrees`, async ({ primitives: { agreement } }) => {
      const shared = await agreement.agree(bytes(vector.privateKey), bytes(vector.publicKey))
      same('shared', hex(shared), vector.shared)
    })
  }
  for (const vector of vectors.x25519.publicKey) {
    add(`X25519 ${vector.name}: public half`, async ({ primitives: { agreement } }) => {
      same('public key', hex(await agreement.publicKey(bytes(vector.privateKey))), vector.publicKey)
    })
  }
  add('X25519 refuses points of low order and wrong lengths', async ({ primitives: { agreement } }) => {
    const { privateKey, publicKey } = await agreement.generate()
    for (const point of vectors.x25519.refused) {
      await refused(point, 'KEY_REFUSED', agreement.agree(privateKey, bytes(point)))
    }
    await refused('short public key', 'KEY_REFUSED', agreement.agree(privateKey, publicKey.subarray(1)))
    await refused('long private key', 'KEY_REFUSED', agreement.agree(Uint8Array.of(...privateKey, 0), publicKey))
  })
  add('X25519 makes fresh pairs that agree', async ({ primitives: { agreement } }) => {
    const [one, two] = [await agreement.generate(), await agreement.generate()]
    same('fresh', hex(one.publicKey) !== hex(two.publicKey) && one.privateKey.length === 32, true)
    same('half', hex(await agreement.publicKey(one.privateKey)), hex(one.publicKey))
    const shared = await agreement.agree(one.privateKey, two.publicKey)
    same('shared', hex(shared), hex(await agreement.agree(two.privateKey, one.publicKey)))
  })

  for (const vector of vectors.ed25519.valid) {
    const [publicKey, message, signature] = [bytes(vector.publicKey), bytes(vector.message), bytes(vector.signature)]
    add(`Ed25519 ${vector.name}: verifies and signs`, async ({ primitives: { verifier }, signer }) => {
      same('verified', await verifier.verify(publicKey, message, signature), true)
      if (signer === undefined) return
      const own = await signer(bytes(vector.seed))
      same('public key', hex(own.publicKey), vector.publicKey)
      same('signature', hex(await own.sign(message)), vector.signature)
    })
  }
  for (const vector of vectors.ed25519.refused) {
    add(`Ed25519 refuses ${vector.name}`, async ({ primitives: { verifier } }) => {
      const [publicKey, message, signature] = [vector.publicKey, vector.message, vector.signature].map(bytes)
      if (publicKey === undefined || message === undefined || signature === undefined) return
      same('verified', await verifier.verify(publicKey, message, signature), false)
    })
  }
  add('Ed25519 signs with a fresh key what it verifies', async ({ primitives: { verifier }, freshSigner }) => {
    const signer = await freshSigner()
    const message = Uint8Array.of(1, 2, 3)
    const signature = await signer.sign(message)
    same('length', signature.length, 64)
    same('verified', await verifier.verify(signer.publicKey, message, signature), true)
    same('other message', await verifier.verify(signer.publicKey, Uint8Array.of(1, 2), signature), false)
  })

  for (const vector of vectors.hkdf) {
    add(`HKDF ${vector.name}`, async ({ viewKey }) => {
      const view = await viewKey(bytes(vector.secret))
      same('key', hex(await view.derive(bytes(vector.info))), vector.key)
    })
  }
  add('SHA-256 of little and of much, at once and in pieces, where they have their own', async ({ primitives }) => {
    const digests: [size: number, digest: string][] = [
      [3, 'ae4b3280e56e2faf83f414a6e3dabe9d5fbe18976544c05fed121accb85b53fc'],
      [100_000, 'db8f1d69251d95e2c88268d3c540533cc5182e0e33065a6f3f322f606a574489']
    ]
    for (const [size, digest] of digests) {
      const data = Uint8Array.from({ length: size }, (_, at) => at & 255)
      if (primitives.hash) same('at once', hex(await primitives.hash(data)), digest)
      const hasher = primitives.hasher?.()
      if (hasher) same('in pieces', hex(hasher.update(data.subarray(0, 2)).update(data.subarray(2)).digest()), digest)
    }
  })
  add('random bytes differ and have the asked length', async ({ primitives: { random } }) => {
    same('lengths', [0, 1, 32, 70_000].map(length => random.bytes(length).length).join(), '0,1,32,70000')
    same('fresh', hex(random.bytes(32)) !== hex(random.bytes(32)), true)
  })
  return cases
}

/** Registers the cases with mocha under a name. */
export function registerConformance(
  name: string,
  vectors: PrimitiveVectors,
  make: () => Promise<PrimitivesUnderTest>
): void {
  describe(`primitives: ${name}`, () => {
    let under: PrimitivesUnderTest | undefined
    before(async () => {
      under = await make()
    })
    for (const { name: title, run } of conformanceCases(vectors)) {
      it(title, async () => {
        if (under === undefined) throw new Error('no implementation')
        await run(under)
      })
    }
  })
}
