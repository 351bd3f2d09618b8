import {
  accountId,
  compareBytes,
  encodeCanonical,
  equalBytes,
  PekkaError,
  toHex,
  type BodyOf,
  type Genesis,
  type ImageContent,
  type ImageRef
} from '../protocol/index.js'
import { refuseRepeatedKeys } from './account.js'
import { MAX_IMAGES, MAX_OPEN_PROPOSALS } from './constants.js'
import { REGISTRY, type Row } from './rows.js'
import type { Sender, Step } from './step.js'
import { scan, type Reader, type View } from './view.js'

/**
 * The registry of images: k of n registrars say what a digest stands for, and that it isn't to be used any more. Who they are stands in
 * the genesis (`images`, a policy): each of its keys is a registrar by the account that begins with that key alone, so that registrars
 * rotate their keys, or share them, like anybody.
 */

type ImageRow = Row<'image'>

/** The registry's row, where the genesis names registrars. @throws PekkaError TRANSACTION_INVALID */
export function putRegistry(state: View, { images }: Genesis): void {
  if (images === undefined) return
  refuseRepeatedKeys(images)
  const registrars = images.keys.map(key => accountId({ threshold: 1, keys: [key] })).sort(compareBytes)
  state.put('registry', REGISTRY, { threshold: images.threshold, registrars })
}

/** @throws PekkaError BODY_NOT_YET (this network registers no images), BODY_NOT_ALLOWED */
function needRegistrar(view: Reader, { account }: Sender, body: string): Row<'registry'> {
  const registry = view.get('registry', REGISTRY)
  if (registry === undefined) throw new PekkaError('BODY_NOT_YET', { body })
  if (!registry.registrars.some(known => equalBytes(known, account))) throw new PekkaError('BODY_NOT_ALLOWED', { body })
  return registry
}

/**
 * A registrar's word for what a digest stands for, in the place of its former one.
 * @throws PekkaError BODY_NOT_YET, BODY_NOT_ALLOWED, OBJECT_EXISTS (it is approved), IMAGE_RETIRED, LIMIT_EXCEEDED
 */
export function proposeImage(step: Step, sender: Sender, { kind, digest, content }: BodyOf<'image-propose'>): void {
  const registry = needRegistrar(step.view, sender, kind)
  const known = openRow(step.view, digest)
  if (known === undefined) refuseMore(step.view, sender)
  const row = known ?? { digest, state: 'proposed', proposals: [], record: null, against: [], retired: null }
  vote(step, registry, row, sender, content)
}

/** The same for something that another registrar has proposed. @throws PekkaError as {@link proposeImage}; NOT_ON_LEDGER */
export function approveImage(step: Step, sender: Sender, { kind, digest, content }: BodyOf<'image-approve'>): void {
  const registry = needRegistrar(step.view, sender, kind)
  const row = openRow(step.view, digest)
  if (row === undefined || !row.proposals.some(proposal => isSame(proposal.content, content))) {
    throw new PekkaError('NOT_ON_LEDGER', { what: `such proposal of ${content.name}` })
  }
  vote(step, registry, row, sender, content)
}

/**
 * A registrar's word that an image isn't to be used any more, for ever once enough say so. What runs goes on; no new price or offer names it.
 * @throws PekkaError BODY_NOT_YET, BODY_NOT_ALLOWED, NOT_ON_LEDGER, IMAGE_RETIRED
 */
export function retireImage(step: Step, sender: Sender, { kind, digest, reason }: BodyOf<'image-retire'>): void {
  const { view, context } = step
  const { threshold } = needRegistrar(view, sender, kind)
  const row = view.get('image', toHex(digest))
  if (row === undefined) throw new PekkaError('NOT_ON_LEDGER', { what: 'such image' })
  if (row.retired !== null) throw retired(row, row.retired.reason)
  const others = row.against.filter(({ registrar }) => !equalBytes(registrar, sender.account))
  const against = [...others, { registrar: sender.account, reason }]
  const decided = against.length >= threshold
  view.put('image', toHex(digest), {
    ...row,
    against,
    ...(decided && { state: 'retired', proposals: [], retired: { reason, at: context.timestamp } })
  })
}

/** What of a digest can still be decided. @throws PekkaError OBJECT_EXISTS, IMAGE_RETIRED */
function openRow(view: Reader, digest: Uint8Array): ImageRow | undefined {
  const row = view.get('image', toHex(digest))
  if (row?.retired) throw retired(row, row.retired.reason)
  if (row?.state === 'approved') throw new PekkaError('OBJECT_EXISTS')
  return row
}

function vote(
  { view, context }: Step,
  { threshold }: Row<'registry'>,
  row: ImageRow,
  sender: Sender,
  content: ImageContent
): void {
  // Where it stood before, it doesn't any more; a proposal that nobody stands by goes.
  const others = row.proposals
    .map(proposal => ({ ...proposal, by: proposal.by.filter(by => !equalBytes(by, sender.account)) }))
    .filter(({ content: other, by }) => by.length > 0 || isSame(other, content))
  const found = others.find(proposal => isSame(proposal.content, content))
  const by = [...(found?.by ?? []), sender.account]
  const proposals = [...others.filter(proposal => proposal !== found), { content, by }]
  const next: ImageRow =
    by.length >= threshold
      ? { ...row, state: 'approved', proposals: [], record: { content, by, at: context.timestamp } }
      : { ...row, proposals }
  view.put('image', toHex(row.digest), next)
}

/** @throws PekkaError LIMIT_EXCEEDED */
function refuseMore(view: Reader, { account }: Sender): void {
  let all = 0
  let own = 0
  for (const [, { proposals }] of scan(view, 'image')) {
    all++
    if (proposals.some(({ by }) => by.some(one => equalBytes(one, account)))) own++
  }
  if (all >= MAX_IMAGES || own >= MAX_OPEN_PROPOSALS) throw new PekkaError('LIMIT_EXCEEDED')
}

const isSame = (a: ImageContent, b: ImageContent): boolean => equalBytes(encodeCanonical(a), encodeCanonical(b))

const nameOf = ({ record, proposals }: ImageRow): string => (record?.content ?? proposals[0]?.content)?.name ?? ''

const retired = (row: ImageRow, reason: string): PekkaError =>
  new PekkaError('IMAGE_RETIRED', { image: nameOf(row) || toHex(row.digest).slice(0, 12), reason })

/** Prices and offers name no image that has been retired. @throws PekkaError IMAGE_RETIRED */
export function refuseRetired(view: Reader, { name, digest }: ImageRef): void {
  const row = view.get('image', toHex(digest))
  if (row?.retired) throw new PekkaError('IMAGE_RETIRED', { image: name, reason: row.retired.reason })
}

/** What was approved was so by enough registrars; what wasn't has fewer; nobody is counted twice. */
export function imageInvariant(view: Reader): string[] {
  const registry = view.get('registry', REGISTRY)
  return [...scan(view, 'image')].flatMap(([key, row]) => {
    if (registry === undefined) return [`image ${key} is registered by nobody`]
    return [...issuesOf(registry, row), ...(key === toHex(row.digest) ? [] : ['has another key inside'])].map(
      issue => `image ${key} (${row.state}) ${issue}`
    )
  })
}

function* issuesOf({ threshold, registrars }: Row<'registry'>, row: ImageRow): Generator<string> {
  const { state, proposals, record, against } = row
  const members = new Set(registrars.map(toHex))
  const votes = [proposals.flatMap(({ by }) => by), record?.by ?? [], against.map(({ registrar }) => registrar)]
  for (const list of votes) {
    const voters = list.map(toHex)
    if (new Set(voters).size !== voters.length) yield 'counts somebody twice'
    if (voters.some(voter => !members.has(voter))) yield 'counts a stranger'
  }
  if (record !== null && record.by.length < threshold) yield 'was approved by too few'
  if (proposals.some(({ by }) => by.length >= threshold)) yield 'isn’t approved though enough say so'
  if ((state === 'retired') !== against.length >= threshold) yield 'is retired by the wrong number'
  if ((state === 'retired') !== (row.retired !== null)) yield 'is retired for no reason'
  if (state === 'proposed' && (record !== null || proposals.length === 0)) yield 'is proposed by nobody'
  if (state === 'approved' && record === null) yield 'is approved without a record'
  if (state !== 'proposed' && proposals.length > 0) yield 'is decided and still proposed'
}
