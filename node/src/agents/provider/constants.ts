import { CREDIT } from '@pekka/node/protocol'

/** A running attempt renews its lease so often (PROTOCOL §9), ms. The lease is 30 s: two renewals may be lost. */
export const ALIVE_INTERVAL_MS = 10_000

/** A session's time is claimed so often (R33), ms. The ledger takes a machine for lost after 10 min without: one claim may fail. */
export const TRANCHE_INTERVAL_MS = 240_000

/** The chain's head is signed at least so often while frames are made (R7), ms. */
export const HEAD_INTERVAL_MS = 1_000

/**
 * Frames of one run follow one another at this distance at least, ms: what is printed meanwhile goes into one frame. 5 ms is
 * below what an eye sees and keeps a chatty program at 200 frames a second.
 */
export const FLUSH_INTERVAL_MS = 5

/** Bytes of events that wait to be sealed, above which the sandbox is no longer read. Four full frames. */
export const BATCH_HIGH_WATER_BYTES = 256 << 10

/** A batch is cut into a frame of its own above this; a full frame holds 64 KiB. */
export const BATCH_BYTES = 60 << 10

/**
 * How far output on disk may be ahead of what the bridge has acknowledged, bytes, before the sandbox is no longer read. It lets
 * a program go on while its bridge restarts, and it bounds what a bridge that stays away costs this machine's disk.
 */
export const SPOOL_AHEAD_BYTES = 32 << 20

/** Output above the task's limit that is tolerated from the sandbox: markers, errors and base64 don't count in the runner. */
export const OUTPUT_SLACK_BYTES = 16 << 20

/** The sandbox is killed so long after the wall limit or a cancel, ms, if it hasn't ended by itself: the runner's grace is 2 s. */
export const KILL_AFTER_MS = 8_000

/** A commit waits so long for the bridge's `stored` (R8), ms; it normally comes within a few. */
export const STORED_WAIT_MS = 1_000

/** An offer waits so long for a free place while other machines are named in it, ms: then they shall have it. */
export const PLACE_WAIT_SHARED_MS = 1_500

/**
 * …and so long where this machine is the last one named: R1 lets it accept until `startWithin` (60 s) is over, less what accepting
 * takes. It declines sooner where its tasks have run for so long that none can be expected to end in time (Places).
 */
export const PLACE_WAIT_LAST_MS = 50_000

/** Offers that may be under examination at once; more notices are dropped. Each may hold a bundle of up to 256 MiB on disk. */
export const MAX_INTAKES = 512

/** An offer that has neither started nor ended after this is forgotten, ms: `startWithin` and two candidates' windows. */
export const INTAKE_LIFE_MS = 90_000

/** Asks and the KEM keys in them live so long (R3 allows 24 h), ms … */
export const ASK_LIFE_MS = 12 * 3_600_000
/** … and are renewed when this much is left: an offer made from the old one can still be opened. */
export const ASK_RENEW_MS = 2 * 3_600_000

/** What the agent may lose in deposits of bids that it doesn't reveal (R31), before its key is granted anew. */
export const BID_DEPOSITS = 100n * CREDIT

/** Most of it for one bid. */
export const BID_DEPOSIT = 10n * CREDIT

/** The agent's delegate lives so long, ms, and is renewed in the last tenth. */
export const DELEGATE_LIFE_MS = 30 * 86_400_000

/** How often is looked whether that time has come, ms: seventy times within the last tenth, each one question to the ledger. */
export const AGENT_LOOK_MS = 3_600_000

/** Running tasks may go on so long after SIGTERM, ms. Whoever stops us waits 15 s. */
export const DRAIN_MS = 8_000

/** Transactions of the agent are void after this, ms. */
export const TRANSACTION_LIFE_MS = 60_000

/** What a provider draws from a devnet's faucet for its bond, micro-credits: 100 credits. */
export const FAUCET_BOND = 100_000_000n

/** Fetching one package of a task, ms: 256 MiB at 2 Mbit/s. It goes on when its task has gone to another machine. */
export const MAX_LAYER_FETCH_MS = 1_100_000

/** Sealed bundles that may be held for offers under examination, bytes together. Two of the largest. */
export const MAX_INTAKE_BYTES = 512 << 20

/** What a sandbox that waits is reckoned to hold, bytes: about the most that any image does (docs/images.md has what each was seen to). */
export const WARM_BYTES = 400 << 20

/** How long after its run began output of a closed task waits for a bridge that lacks it, ms, and of how many runs at most: 64 MiB each and more. */
export const LATE_MS = 7 * 86_400_000
export const MAX_LATE_RUNS = 32
/** How often it is looked for such as is too old, ms. */
export const LATE_LOOK_MS = 3_600_000
