/**
 * A transaction may name as its parent what was ordered in the last so many commits, and what the state names as its last ones: so which vertices are
 * final can be told by a witness that began with a snapshot too. Two hours at rest, minutes under load; clients name their lane's last one, which
 * needs no looking up, or what they have just been told.
 */
export const FINAL_WINDOW = 8_192

/** `/pekka/witness/1`: blocks and what is said about them, between witnesses. */
export const WITNESS_PROTOCOL = '/pekka/witness/1'

/** Largest message between witnesses: an answer's part of ANSWER_BYTES and one block of MAX_BLOCK_BYTES more. */
export const WITNESS_MESSAGE_BYTES = 8 << 20

/** Bytes of blocks in one part of an answer; the next part follows when this one is sent. */
export const ANSWER_BYTES = 4 << 20

/** Bytes of blocks in one answer in all: 32 rounds of four witnesses that are full. Whoever lacks more asks on. */
export const MAX_ANSWER_BYTES = 128 << 20

/** How often a witness that has just started looks whether it is as far as the others, ms. */
export const CATCH_UP_LOOK_MS = 50
/** Without a quorum of others it serves what it has after this, ms: they may all be down. */
export const CATCH_UP_WAIT_MS = 10_000

/** How often one that serves looks whether it has fallen behind, e.g. while it was cut off, ms. */
export const BEHIND_LOOK_MS = 60_000

/**
 * A witness that starts, or was cut off, knows that others are further and gets neither a commit nor a block for so long ends, ms: nobody has its
 * next blocks any more, and the next start takes a snapshot. An answer's part of ANSWER_BYTES comes in this time over 300 kbit/s.
 */
export const STRANDED_MS = 120_000

/** Questions of one peer that are answered at once; each reads at most one part ahead. */
export const MAX_ANSWERS_PER_PEER = 4

/**
 * Bytes that may wait for one peer. A peer that reads slower than its committee writes loses blocks here and fetches them later, instead
 * of costing us memory.
 */
export const MAX_OUTBOX_BYTES = 32 << 20

/** Who may listen without a seat in the committee: archives, explorers, those who wait for an election. */
export const MAX_OBSERVERS = 32

/** Streams one peer may have to us: who dials each other at the same moment has two, and a lost one may linger. */
export const MAX_SESSIONS_PER_PEER = 4

/** Introducing oneself takes one message. */
export const HELLO_TIMEOUT_MS = 10_000

/** Longest pause before another witness is dialled again, ms: rounds wait 200 ms for a leader, so a link should be back soon. */
export const REDIAL_MAX_MS = 2_000

/** A link between witnesses pings after this much silence, ms, … */
export const WITNESS_PING_MS = 2_000
/** … and is given up after this much: the relay has long gone around it, and a new one may work. */
export const WITNESS_SILENCE_MS = 10_000

/** Messages that don't open (no block, bad signature) before a peer is cut off for BAN_MS. Honest ones send none. */
export const MAX_BROKEN = 8
export const BAN_MS = 60_000

/**
 * Blocks of a member in an epoch beyond one for each of its rounds, before it isn't listened to for the rest of it. An honest one has none. Of a
 * megabyte each they are what an equivocator can make each other member store.
 */
export const MAX_FURTHER_BLOCKS = 256

/** Events that wait for the consensus before links are read no further. */
export const MAX_INBOX = 256

/** Commits that are decided and not executed before the consensus waits for the ledger. */
export const MAX_UNEXECUTED = 32

/**
 * What is under way through all members' hands, taken in and not ordered, as bytes of the commits that order it (intake/weight.ts); each has an
 * equal part. So honest members' commits stay at half of what a message to followers may hold (16 MiB), however late they come.
 */
export const MAX_UNDER_WAY = 8 << 20

/** Opened blocks, and verified transactions, that are remembered by their bytes: others pass on what was here already. Bytes each. */
export const OPENED_BLOCKS_BYTES = 32 << 20
export const VERIFIED_BYTES = 16 << 20

/** Blocks that are answered from memory, bytes; others come from the database. */
export const RECENT_BLOCKS_BYTES = 16 << 20

/** Accepted blocks that wait for the next synced write are written by themselves after this, ms: an observer proposes nothing. */
export const FLUSH_MS = 250

/** Epochs of which blocks are kept beside the present one, for witnesses that were away. */
export const KEPT_EPOCHS = 2

/** Equivocations of one witness that are logged and kept in one epoch: the first proves as much as the next thousand. */
export const MAX_EVIDENCE_PER_EPOCH = 4
/** Equivocations kept in all, the oldest go: 2 blocks each, some kB as a rule and 130 MB at worst. */
export const MAX_EVIDENCE = 64

/** A witness that is registered for fewer epochs after the present one registers for more, … */
export const REGISTER_WHEN_LEFT = 5
/** … up to this many ahead: the ledger keeps the last 8 of a witness, and the election for the one after the next may be due. */
export const REGISTER_AHEAD = 8
/** How often it looks, ms. */
export const REGISTER_LOOK_MS = 5_000

/** Times from submission to final that the status is about: the last thousand. */
export const FINALITY_SAMPLES = 1_024

/** An epoch's hash chain is longer than its rounds: skipped leaders make it longer than its commits. In thousandths. */
export const CHAIN_MARGIN_MILLI = 1_125

/** Without any change a committee still makes a checkpoint this often, ms: who asks shortly after all have restarted waits no longer. */
export const CHECKPOINT_HEARTBEAT_MS = 5_000

/** How often a witness looks which of its checkpoints no quorum has signed yet, ms; it then says its own signature again, and asks. */
export const CERTIFY_LOOK_MS = 1_000

/** Checkpoints of which the signatures are said again at once: the oldest and the newest. */
export const RESIGNED = 4

/** A checkpoint older than this, ms, was certified long ago by others: its certificate is asked for, and not signed for all. */
export const FRESH_CHECKPOINT_MS = 10_000

/** Checkpoints that wait for a quorum: a quarter of an hour under load, some 300 B each. Later, certificates of the oldest aren't kept here. */
export const MAX_UNCERTIFIED_CHECKPOINTS = 4_096
/** Those of them that can still prove rows: each holds what changed since it. */
export const MAX_UNCERTIFIED_VIEWS = 64

/** Signatures of one witness for checkpoints that aren't here yet. */
export const MAX_EARLY_SIGNATURES = 64

/** How long who asks for a proof waits for a checkpoint that a quorum has signed, ms; then there is none yet. */
export const PROOF_WAIT_MS = 8_000
