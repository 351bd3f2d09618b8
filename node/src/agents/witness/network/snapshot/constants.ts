/** `/pekka/witness-snapshot/1`: the newest snapshot of a witness, part by part. */
export const SNAPSHOT_PROTOCOL = '/pekka/witness-snapshot/1'

/** Largest record of a snapshot, bytes: a part of PART_BYTES, and one more row or commit. */
export const MAX_SNAPSHOT_RECORD_BYTES = 8 << 20

/** Bytes of rows, commits or transactions after which a record ends. */
export const RECORD_BYTES = 1 << 20

/** Largest snapshot that is taken from a peer, bytes, on disk: some million open tasks. A file of one's own has no bound. */
export const MAX_SNAPSHOT_BYTES = 1024 ** 3

/** Most rows: 64 bytes of each are in memory before it is known that a quorum has signed them, 256 MiB in all. */
export const MAX_SNAPSHOT_ROWS = 4_000_000

/** Bytes of one answer. */
export const PART_BYTES = 1 << 20

/** How long a peer may take for one answer, ms. */
export const PART_TIMEOUT_MS = 20_000
/** How long a peer may take for a whole snapshot, ms: some 800 kbit/s of what it says is its size, and so much more, … */
export const FETCH_BASE_MS = 60_000
export const FETCH_BYTES_PER_S = 100_000
/** … but no more than this, ms: each of them that lies costs a start so much at most. */
export const FETCH_MAX_MS = 20 * 60_000
/** How long peers are asked for what they have, when a witness starts, ms. */
export const OFFER_TIMEOUT_MS = 4_000

/** Answers under way at once, for all peers together; others wait in the streams' own limit. */
export const MAX_PARTS_AT_ONCE = 8

/** Snapshots kept: the newest, and the one before it for who is fetching it. */
export const KEPT_SNAPSHOTS = 2

/** How often a snapshot that waits for its certificate looks for it, and how often at most. ms; then it is dropped. */
export const CERTIFICATE_LOOK_MS = 500
export const CERTIFICATE_LOOKS = 1_200
