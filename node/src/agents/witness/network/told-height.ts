import { toHex } from '@pekka/node/protocol'
import { Committee, type Member } from '@pekka/node/consensus'
import type { WitnessLinks } from './links.js'

/**
 * The height that members with more than f stake have told of when they introduced themselves, of whom one is honest; −1: there are too
 * few; null: no quorum is connected.
 */
export function toldHeight(
  links: Pick<WitnessLinks, 'peers' | 'keyOf' | 'commitOf'>,
  { epoch, members, own }: { epoch: number; members: readonly Member[]; own: Uint8Array }
): number | null {
  const committee = new Committee(epoch, members)
  const places = new Map(members.map(({ key }, i) => [toHex(key), i]))
  const self = places.get(toHex(own))
  const told = links.peers
    .flatMap(peer => ({ author: places.get(links.keyOf(peer) ?? ''), commit: links.commitOf(peer) }))
    .sort((a, b) => b.commit - a.commit)
  const authors = told.flatMap(({ author }) => author ?? [])
  if (!committee.isQuorum(self === undefined ? authors : [self, ...authors])) return null
  const heard: number[] = []
  for (const { author, commit } of told) {
    if (author !== undefined) heard.push(author)
    if (committee.stakeOf(heard) > committee.faulty) return commit
  }
  return -1
}
