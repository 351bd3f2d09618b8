import { accountInvariant } from './account.js'
import { askInvariant } from './ask.js'
import { auctionInvariant } from './auction/index.js'
import { bandwidthInvariant } from './bandwidth.js'
import { faucetInvariant } from './faucet.js'
import { imageInvariant } from './image.js'
import { supplyInvariant } from './money.js'
import { providerInvariant } from './provider.js'
import { queueInvariant } from './queue.js'
import { recoveryInvariant } from './recovery.js'
import { stakeInvariant } from './stake.js'
import { taskInvariant } from './task/index.js'
import type { Reader } from './view.js'

/** Everything that must hold of a state between commits; what is broken, in words. Reads the whole state: for tests. */
export const brokenInvariants = (state: Reader): string[] =>
  [
    supplyInvariant,
    accountInvariant,
    recoveryInvariant,
    bandwidthInvariant,
    providerInvariant,
    stakeInvariant,
    askInvariant,
    faucetInvariant,
    taskInvariant,
    auctionInvariant,
    imageInvariant,
    queueInvariant
  ].flatMap(invariant => invariant(state))
