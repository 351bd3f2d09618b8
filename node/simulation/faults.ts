import type { Random } from './random.js'
import type { World } from './world.js'
import type { Loss } from './witness.js'

/** Everything that can go wrong in a world, by name. The last ones make a witness dishonest. */
export const FAULTS = [
  'drop',
  'partition',
  'crash',
  'wipe',
  'slow-disk',
  'drift',
  'committee',
  'equivocate',
  'withhold',
  'silent',
  'lie',
  'invalid',
  'spam'
] as const
export type Fault = (typeof FAULTS)[number]

/** Faults of witnesses that break the rules on purpose. */
export const DISHONEST: readonly Fault[] = ['equivocate', 'withhold', 'silent', 'lie', 'invalid', 'spam']

/** Faults end here, virtual ms; from then on the network delivers and everybody is up. */
export const FAULTS_END = 8_000

/** A world's faults: all that are named, or for `all` a choice that depends on the seed. */
export function chooseFaults(random: Random, set: readonly Fault[] | 'all'): Set<Fault> {
  if (set !== 'all') return new Set(set)
  const chosen = new Set(random.some(FAULTS, 0.4))
  // It takes the place of a dishonest one.
  if (random.chance(0.6)) chosen.delete('wipe')
  // Most seeds have someone dishonest: that is where the rules are needed.
  if (random.chance(0.5)) chosen.add('equivocate')
  return chosen
}

/** Plans the faults of machines and network. */
export function planFaults(world: World, faults: ReadonlySet<Fault>): void {
  const { random, agenda } = world
  if (faults.has('partition')) {
    for (let i = random.between(1, 3); i > 0; i--) planPartition(world)
  }
  if (faults.has('crash') || faults.has('wipe')) {
    for (let i = random.between(1, 4); i > 0; i--) planCrash(world, lossOf(world, faults))
  }
  if (faults.has('slow-disk')) {
    const witness = random.pick(world.witnesses)
    const from = random.between(0, FAULTS_END - 2_000)
    agenda.plan(from, () => void (witness.diskDelay = random.between(30, 300)))
    agenda.plan(from + random.between(500, 2_000), () => void (witness.diskDelay = 0))
  }
  if (faults.has('drift')) {
    for (const witness of world.witnesses) {
      witness.clock = { offset: random.between(-250, 250), rate: random.between(-2, 2) }
    }
  }
}

function planPartition({ random, agenda, network, witnesses, trace }: World): void {
  const from = random.between(0, FAULTS_END - 2_500)
  const until = from + random.between(200, 2_500)
  const sides = witnesses.map(() => random.between(0, 1))
  agenda.plan(from, () => {
    trace(null, () => `partition ${sides.join('')} until ${until}`)
    network.partition(sides)
  })
  agenda.plan(until, () => network.partition([]))
}

/**
 * A witness without its database counts as a fault until it is back: of its last blocks some may have reached nobody. So one
 * fewer is dishonest where there is one (world.ts), and only one loses anything.
 */
function lossOf({ random }: World, faults: ReadonlySet<Fault>): Loss {
  if (!faults.has('wipe') || random.chance(0.3)) return 'nothing'
  return random.chance(0.5) ? 'everything' : 'database'
}

function planCrash({ random, agenda, witnesses, trace, wiped, checks }: World, loss: Loss): void {
  const witness = random.pick(witnesses)
  const from = random.between(0, FAULTS_END - 2_500)
  const until = from + random.between(50, 2_500)
  const forgets = wiped.size === 0 || wiped.has(witness.index) ? loss : 'nothing'
  if (forgets !== 'nothing') wiped.add(witness.index)
  agenda.plan(from, () => {
    if (!witness.up) return
    trace(witness, () => `crash until ${until}, loses ${forgets}`)
    witness.crash()
    agenda.plan(until, () => {
      witness.restart(forgets)
      if (witness.honest && forgets === 'nothing') checks.remembers(witness)
    })
  })
}
