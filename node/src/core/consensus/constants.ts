/** Rounds between a block and the blocks that can certify it: proposed, voted for, certified. Three message delays. */
export const WAVE = 3

/** Blocks of one slot, above the garbage line and below, that are taken in without being asked for: the block, and enough others to prove equivocation. */
export const MAX_UNSOLICITED_PER_SLOT = 3

/** The rule that an author breaks with a second block for a slot. */
export const EQUIVOCATION = 'equivocation'

/**
 * Equivocators' blocks beyond those that are taken from each member's answers, in an epoch, and their bytes. What somebody decided by may hang on
 * any of them, and at the end of an epoch nobody builds on it any more: whoever decided has gone on, and only has it. A quarter of an answer.
 */
export const MAX_MORE_PER_MEMBER = 512
export const MAX_MORE_BYTES = 32 << 20

/**
 * Blocks of one author that wait for missing parents. A witness that was cut off for ten seconds at ten rounds a second
 * sends about 100 in a row; more than that is fetched by rounds.
 */
export const MAX_SUSPENDED_PER_AUTHOR = 128

/** Blocks whose timestamps are ahead of our clock and that wait for it. Honest clocks differ by less than the drift allowed. */
export const MAX_EARLY_BLOCKS = 256

/** A clock further ahead than this, ms, isn't waited for: its blocks are dropped and fetched again when they are due. */
export const MAX_EARLY_MS = 10_000

/** Rounds beyond the last complete one that blocks are taken in for; whoever hears of later ones is behind and fetches by rounds. */
export const MAX_ROUNDS_AHEAD = 64

/** This many rounds ahead of us, a block means that we are behind: asking for rounds is cheaper than for single parents. */
export const CATCH_UP_GAP = 8

/** Rounds asked for at once when behind. 20 witnesses make some 600 blocks of a few kB in them. */
export const CATCH_UP_ROUNDS = 32

/** Blocks in one answer. */
export const MAX_ANSWER_BLOCKS = 2_048

/**
 * Rounds below the garbage line of which ids stay known. A witness that missed fewer comes back by writing the blocks it
 * missed; one that missed more comes back with the next epoch. 1,024 rounds are over a minute; of 20 witnesses some 3 MB.
 */
export const KNOWN_ROUNDS = 1_024

/** Blocks asked for by id at once. */
export const MAX_REQUEST_IDS = 64

/** Blocks of the next epoch kept while this one ends: a few rounds of 20 witnesses. */
export const MAX_NEXT_EPOCH_BLOCKS = 128

/** Commits whose votes are counted beyond the last certified one. Votes further off are counted when they are nearer. */
export const MAX_UNCERTIFIED = 1_024

/**
 * Rounds that may pass without a commit before blocks go out empty: what is undecided must stay small however long that
 * takes. 200 rounds are some 15 s.
 */
export const MAX_UNDECIDED_ROUNDS = 200

/** Transactions of one lane that wait (as in agents/witness). */
export const MAX_PENDING_PER_LANE = 64
/** Transactions that wait in all: some seconds' worth at the ledger's ceiling of 1,000 a second. */
export const MAX_PENDING = 8_192
/** Bytes that wait in all. */
export const MAX_PENDING_BYTES = 64 << 20

/** Turns in the cycle of leaders, for each member. With 16 a member's share of turns is right to a sixteenth of an equal share. */
export const TURNS_PER_MEMBER = 16

/** Commits that may wait for their draw at once: a draw takes f+1 leaders, at most 34 of 100, and their rounds may be skipped. */
export const MAX_WAITING_DRAWS = 4_096

/** Rounds below the last complete one whose blocks are passed on to others; a later copy would come too late to be voted for. */
export const RELAYED_ROUNDS = 2

/** Peers remembered that sent a block whose parents are missing: one more than the dishonest of a committee of 22 with equal stakes. */
export const MAX_SOURCES = 8

/** A transaction of an own client that isn't ordered after this is told to all witnesses, ms: five times what finality takes among four. */
export const SPREAD_AFTER_MS = 1_500
/** A witness that writes no blocks tells at once, but for what a moment gathers into one batch, ms. */
export const SPREAD_GATHER_MS = 20
/** Batches told at once, … */
export const SPREAD_BATCHES = 4
/** … and the pause before the next ones, ms: a megabyte a second at most. */
export const SPREAD_PAUSE_MS = 100
/** What is still not ordered is told again after this, ms: somebody may have had no room. */
export const SPREAD_AGAIN_MS = 10_000

/** Between two witnesses' turns for what others have told of, ms: a block has come round by then that carries it, also on links of 100 ms. */
export const STANDBY_TURN_MS = 400
/** What was given out and couldn't be put into a block is given out again after this, ms, and then after twice as long each time. */
export const STANDBY_AGAIN_MS = 500
/** How long a transaction that others have told of stands by, ms: their turns in a committee of 21, thrice. */
export const STANDBY_MS = 30_000
