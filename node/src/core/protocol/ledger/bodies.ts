import { z } from 'zod'

/** Names of transaction bodies. The reserved ones are known and refused with BODY_NOT_YET. */

export const OPEN_BODIES = [
  'open-account',
  'transfer',
  'set-policy',
  'set-recovery',
  'recover',
  'cancel-recovery',
  'grant',
  'revoke',
  'faucet',
  'register-provider',
  'bond',
  'unbond',
  'stake',
  'unstake',
  'ask',
  'withdraw-ask',
  'offer',
  'accept',
  'decline',
  'cancel',
  'alive',
  'fail',
  'commit',
  'tranche',
  'close',
  'auction-open',
  'auction-bid',
  'auction-reveal',
  'auction-reserve',
  'image-propose',
  'image-approve',
  'image-retire'
] as const
export type OpenBody = (typeof OPEN_BODIES)[number]

export const RESERVED_BODIES = [
  'contest',
  'handover',
  'audit-commit',
  'judge-commit',
  'reveal',
  'verdict',
  'prove-fork',
  'withdraw-fees',
  'trap-root',
  'approve-access',
  'share-box'
] as const
export type ReservedBody = (typeof RESERVED_BODIES)[number]

/** What a delegate of a client and of a provider's agent may be granted at most (R28). */
export const CLIENT_BODIES = [
  'offer',
  'cancel',
  'close',
  'auction-open',
  'auction-reserve'
] as const satisfies readonly OpenBody[]
export const AGENT_BODIES = [
  'ask',
  'withdraw-ask',
  'accept',
  'decline',
  'alive',
  'fail',
  'commit',
  'tranche',
  'auction-bid',
  'auction-reveal'
] as const satisfies readonly OpenBody[]
/** Never granted: they need the account's own keys, lane 0. */
export const OWNER_BODIES = [
  'open-account',
  'transfer',
  'set-policy',
  'grant',
  'revoke',
  'faucet',
  'register-provider',
  'bond',
  'unbond',
  'stake',
  'unstake',
  'set-recovery',
  'recover',
  'cancel-recovery',
  'image-propose',
  'image-approve',
  'image-retire'
] as const satisfies readonly OpenBody[]

export const openBodyName = z.enum(OPEN_BODIES)
