import {
  accountId,
  CREDIT,
  DEVNET_PARAMETERS,
  encodeCanonical,
  encodeSigned,
  networkId,
  objectId,
  peerVouchMessage,
  sha256,
  signingMessage,
  signTransaction,
  toHex,
  toJson,
  transactionId,
  utf8,
  type Body,
  type Genesis,
  type Transaction
} from '@pekka/node/protocol'
import { executeCommit, genesisState, type VerifiedTransaction } from '@pekka/node/ledger'
import { createSigner } from '@pekka/node/host/crypto'

/** Makes docs/vectors/transactions.json: what another implementation must read, refuse and compute alike. */

const START = 1_750_000_000_000
const seedOf = (name: string): Uint8Array => sha256(utf8(`pekka vectors ${name}`))
const nonceOf = (name: string): Uint8Array => seedOf(name).slice(0, 16)
const signerOf = (name: string) => createSigner(seedOf(name))

export async function makeVectors(): Promise<object> {
  const [owner, client, operator, agent, peer, witness] = [
    'owner',
    'client',
    'operator',
    'agent',
    'peer',
    'witness'
  ].map(signerOf)
  if (!owner || !client || !operator || !agent || !peer || !witness) throw new TypeError('a signer is missing')
  const policy = { threshold: 1, keys: [owner.publicKey] }
  const providerPolicy = { threshold: 1, keys: [operator.publicKey] }
  const [account, provider] = [accountId(policy), accountId(providerPolicy)]
  const genesis: Genesis = {
    v: 1,
    name: 'vectors',
    createdAt: START,
    nonce: nonceOf('network'),
    parameters: DEVNET_PARAMETERS,
    witnesses: [{ key: witness.publicKey, stake: 1n }],
    accounts: [
      { policy, balance: 10n * CREDIT },
      { policy: providerPolicy, balance: 1000n * CREDIT }
    ],
    faucet: 1000n * CREDIT,
    // Its one key's account registers images.
    images: providerPolicy
  }
  const network = networkId(genesis)
  const image = { name: 'base', digest: seedOf('image') }
  const content = { name: 'base', contentDigest: seedOf('tree'), locks: [seedOf('lock')] }
  const resources = { milliCpus: 1000, memoryBytes: 2 ** 32, diskBytes: 2 ** 31, gpu: null }
  const [ask, task] = [objectId(provider, nonceOf('ask')), objectId(account, nonceOf('task'))]
  const delegate = { cap: 5n * CREDIT, perTask: CREDIT, expiry: START + 86_400_000 }
  const vouch = await peer.sign(peerVouchMessage(network, provider))
  const offered = {
    task,
    nonce: nonceOf('task'),
    candidates: [{ provider, ask, pricePerSecond: 100n, holdPricePerSecond: null }],
    image,
    resources,
    limits: { wallMs: 600_000, cpuMs: 600_000, outputBytes: 2 ** 26 },
    bundle: { hash: seedOf('bundle'), size: 512 },
    keyCommit: seedOf('key commit'),
    readKey: seedOf('read key'),
    cap: 500_000n,
    audit: 'allowed' as const,
    finishBy: null,
    replicas: 1 as const,
    fixedPrice: null,
    datasets: [],
    checkpoint: null,
    session: null,
    gang: null
  }
  const claim = {
    commitment: seedOf('commitment'),
    run: 1,
    count: 4,
    head: seedOf('head'),
    usage: { wallMs: 1234, cpuMs: 1200 },
    outcome: 'ok' as const,
    stored: null,
    session: null
  }
  // A session: another task, of the same terms, whose machine is kept for one more cell.
  const kept = objectId(account, nonceOf('session'))
  const candidates = [{ provider, ask, pricePerSecond: 100n, holdPricePerSecond: 10n }]
  const terms = { idleMs: 600_000, lifeMs: 3_600_000 }
  const keptOffer = { ...offered, task: kept, nonce: nonceOf('session'), candidates, session: terms }
  const report = { in: { count: 1, head: seedOf('cells') }, cells: 2 }
  const first = { usage: { wallMs: 600, cpuMs: 500 }, session: { heldMs: 400, ...report } }
  const lanes = {
    owner: { account, key: null, signer: owner },
    operator: { account: provider, key: null, signer: operator },
    client: { account, key: client.publicKey, signer: client },
    agent: { account: provider, key: agent.publicKey, signer: agent }
  }
  const script: [keyof typeof lanes, number, Body][] = [
    [
      'owner',
      0,
      { kind: 'grant', delegate: { ...delegate, key: client.publicKey, bodies: ['offer', 'cancel', 'close'] } }
    ],
    [
      'operator',
      500,
      { kind: 'register-provider', name: 'provider-1', operator: null, peerKey: peer.publicKey, peerSignature: vouch }
    ],
    ['operator', 500, { kind: 'bond', amount: 100n * CREDIT }],
    [
      'operator',
      900,
      {
        kind: 'grant',
        delegate: {
          ...delegate,
          cap: 0n,
          perTask: 0n,
          key: agent.publicKey,
          bodies: ['ask', 'accept', 'decline', 'alive', 'fail', 'commit', 'tranche']
        }
      }
    ],
    [
      'agent',
      1000,
      {
        kind: 'ask',
        ask: {
          ask,
          nonce: nonceOf('ask'),
          image,
          contentDigest: seedOf('tree'),
          resources,
          concurrency: 2,
          pricePerSecond: 100n,
          holdPricePerSecond: 10n,
          pricePerGiB: 0n,
          isolation: 2,
          runtime: 'bubblewrap',
          cpuClass: 'x86-64-v3',
          kemKey: seedOf('kem key'),
          kemExpiry: START + 80_000_000,
          expiry: START + 80_000_000
        }
      }
    ],
    ['client', 2000, { kind: 'offer', tasks: [offered] }],
    ['owner', 2000, { kind: 'transfer', to: provider, amount: 2n ** 40n }],
    ['agent', 2100, { kind: 'accept', task }],
    ['agent', 2600, { kind: 'alive', task, attempt: 1, count: 2, head: seedOf('early head'), session: null }],
    ['agent', 3500, { kind: 'commit', task, attempt: 1, claim }],
    ['client', 4000, { kind: 'offer', tasks: [keptOffer] }],
    ['agent', 4100, { kind: 'accept', task: kept }],
    ['agent', 5100, { kind: 'alive', task: kept, attempt: 1, count: 3, head: claim.head, session: report }],
    ['agent', 5200, { kind: 'tranche', task: kept, attempt: 1, claim: { ...claim, ...first } }],
    ['client', 6000, { kind: 'close', task: kept }],
    ['agent', 6500, { kind: 'commit', task: kept, attempt: 1, claim: { ...claim, ...first, count: 5 } }],
    ['owner', 7000, { kind: 'set-recovery', recovery: { guardians: provider, delayMs: 259_200_000 } }],
    ['operator', 7500, { kind: 'recover', account, policy: { threshold: 1, keys: [client.publicKey] } }],
    ['owner', 8000, { kind: 'cancel-recovery', account }],
    ['owner', 8100, { kind: 'set-policy', policy: { threshold: 1, keys: [owner.publicKey, client.publicKey] } }],
    ['operator', 9000, { kind: 'image-propose', digest: image.digest, content }],
    ['operator', 9500, { kind: 'image-approve', digest: image.digest, content }],
    ['operator', 9600, { kind: 'image-retire', digest: image.digest, reason: 'a package in it was withdrawn' }]
  ]

  const heads = new Map<string, { sequence: number; previous: Uint8Array | null }>()
  const transactions: object[] = []
  const made: { at: number; transaction: VerifiedTransaction }[] = []
  for (const [lane, at, body] of script) {
    const { signer, ...place } = lanes[lane]
    const head = heads.get(lane) ?? { sequence: 0, previous: null }
    const transaction: Transaction = {
      v: 1,
      network,
      ...place,
      ...head,
      parents: [network],
      expiry: START + 100_000,
      body
    }
    const signed = await signTransaction(transaction, [signer])
    const id = transactionId(transaction)
    heads.set(lane, { sequence: head.sequence + 1, previous: id })
    const bytes = encodeSigned(signed)
    made.push({ at, transaction: { ...signed, id, bytes } })
    transactions.push({
      name: body.kind,
      seed: toHex(seedOf(lane)),
      value: toJson(transaction),
      canonical: toHex(encodeCanonical(transaction)),
      id: toHex(id),
      message: toHex(signingMessage(transaction)),
      signed: toHex(bytes)
    })
  }
  return {
    version: 1,
    about:
      'Canonical bytes, ids and signatures of transactions, and the commits that they make. Bytes are hexadecimal; in `value`, bytes of other lengths than 32 are base64 and amounts decimal text.',
    genesis: { canonical: toHex(encodeCanonical(genesis)), network: toHex(network) },
    accounts: [
      { policy: toJson(policy), account: toHex(account) },
      { policy: toJson(providerPolicy), account: toHex(provider) }
    ],
    objects: [
      { account: toHex(provider), nonce: toHex(nonceOf('ask')), id: toHex(ask) },
      { account: toHex(account), nonce: toHex(nonceOf('task')), id: toHex(task) }
    ],
    transactions,
    commits: commitsOf(genesis, witness.publicKey, made),
    refused: refusals(made[0]?.transaction, made.at(-1)?.transaction)
  }
}

/** One commit per moment: what another implementation of the rules must come to. */
function commitsOf(
  genesis: Genesis,
  witness: Uint8Array,
  made: { at: number; transaction: VerifiedTransaction }[]
): object[] {
  const state = genesisState(genesis)
  const moments = [...new Set(made.map(({ at }) => at))]
  return moments.map(at => {
    const transactions = made.filter(one => one.at === at).map(one => one.transaction)
    const result = executeCommit(state, { timestamp: START + at, transactions, witness, isFinal: () => false })
    state.write(result.writes)
    return {
      timestamp: START + at,
      ids: transactions.map(({ id }) => toHex(id)),
      outcomes: result.ordered.map(({ outcome }) => ('code' in outcome ? outcome.code : 'applied')),
      header: toJson(result.header),
      hash: toHex(result.message),
      tasks: result.tasks.map(toJson)
    }
  })
}

/** Bytes that must be refused, and why. */
function refusals(first: VerifiedTransaction | undefined, last: VerifiedTransaction | undefined): object[] {
  if (first === undefined || last === undefined) throw new TypeError('there are no transactions')
  const { transaction, signatures } = first
  const encoded = (value: object): string => toHex(encodeCanonical(value))
  const good = toHex(first.bytes)
  // "v": 1 in one byte (01) becomes 1 in two (18 01): the same value, another form.
  const long = good.replace('617601', '61761801')
  return [
    { name: 'an integer that is not in its shortest form', bytes: long, code: 'ENCODING_NOT_CANONICAL' },
    { name: 'a byte too many', bytes: `${good}00`, code: 'ENCODING_NOT_CANONICAL' },
    { name: 'a byte too few', bytes: good.slice(0, -2), code: 'ENCODING_NOT_CANONICAL' },
    { name: 'an indefinite length', bytes: `bf${good.slice(2)}ff`, code: 'ENCODING_NOT_CANONICAL' },
    {
      name: 'an unknown field',
      bytes: encoded({ transaction: { ...transaction, memo: 'x' }, signatures }),
      code: 'TRANSACTION_INVALID'
    },
    {
      name: 'no parents',
      bytes: encoded({ transaction: { ...transaction, parents: [] }, signatures }),
      code: 'TRANSACTION_INVALID'
    },
    { name: 'no signatures', bytes: encoded({ transaction, signatures: [] }), code: 'TRANSACTION_INVALID' },
    {
      name: 'another version',
      bytes: encoded({ transaction: { ...transaction, v: 2 }, signatures }),
      code: 'TRANSACTION_INVALID'
    },
    {
      name: 'a body of a later part',
      bytes: encoded({ transaction: { ...transaction, body: { kind: 'contest' } }, signatures }),
      code: 'BODY_NOT_YET'
    },
    {
      name: 'an unknown body',
      bytes: encoded({ transaction: { ...transaction, body: { kind: 'mint' } }, signatures }),
      code: 'TRANSACTION_INVALID'
    },
    {
      name: 'a signature of another transaction',
      bytes: encoded({ transaction, signatures: last.signatures }),
      code: 'SIGNATURE_INVALID'
    },
    {
      name: 'the same signature twice',
      bytes: encoded({ transaction, signatures: [...signatures, ...signatures] }),
      code: 'SIGNATURE_INVALID'
    }
  ]
}
