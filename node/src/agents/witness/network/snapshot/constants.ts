/** `/pekka/witness-snapshot/1`: the newest snapshot of a witness, part by part. */
export const SNAPSHOT_PROTOCOL = '/pekka/witness-snapshot/1'

/** Largest record of a snapshot, bytes: a part of PART_BYTES, and one more row or commit. */
export const MAX_SNAPSHOT_RECORD_BYTES = 8 << 20

/** Bytes of rows, commits or transactions after which a record ends. */
export const RECORD_BYTES = 1 << 20

/** Largest snapshot that is taken from a peer, bytes: some million open tasks. A file of one's own has no bound. */
export const MAX_SNAPSHOT_BYTES = 4 * 1024 ** 3

/** Most rows: what is checked and hashed in memory. */
export const MAX_SNAPSHOT_ROWS = 4_000_000

/** Bytes of one answer. */
export const PART_BYTES = 1 << 20

/** How long a peer may take for one answer, ms. */
export const PART_TIMEOUT_MS = 20_000
/** How long peers are asked for what they have, when a witness starts, ms. */
export const OFFER_TIMEOUT_MS = 4_000

/** Answers under way at once, for all peers together; others wait in the streams' own limit. */
export const MAX_PARTS_AT_ONCE = 8

/** Snapshots kept: the newest, and the one before it for who is fetching it. */
export const KEPT_SNAPSHOTS = 2

/** How often a snapshot that waits for its certificate looks for it, and how often at most. ms; then it is dropped. */
export const CERTIFICATE_LOOK_MS = 500
export const CERTIFICATE_LOOKS = 1_200
