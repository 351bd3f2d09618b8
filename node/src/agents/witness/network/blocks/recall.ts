import { toHex, type Signer } from '@pekka/node/protocol'
import type { OpenedBlock } from '@pekka/node/consensus'
import { reopen, type Kept } from './block-keeper.js'
import type { LastProposed } from './last-proposed.js'

/**
 * The last proposal as the consensus takes it. Where the database has a later own block (it was written there first, and never sent),
 * the file is brought up to it: the two must agree before anything is sent.
 */
export async function recall(
  { lastProposed, signer }: { lastProposed: LastProposed; signer: Signer },
  { blocks, start }: Pick<Kept, 'blocks' | 'start'>
): Promise<OpenedBlock | null> {
  const { proposed } = lastProposed
  const author = start.members.findIndex(({ key }) => toHex(key) === toHex(signer.publicKey))
  const own = blocks.findLast(({ block }) => block.author === author)
  const told = proposed.status === 'proposed' ? reopen(proposed.bytes) : null
  if (proposed.status === 'lost' || own === undefined) return told
  const later =
    told === null ||
    told.block.epoch < own.block.epoch ||
    (told.block.epoch === own.block.epoch && told.block.round < own.block.round)
  if (later) await lastProposed.write(own.bytes)
  return later ? own : told
}
