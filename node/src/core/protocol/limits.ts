/** Default limits of a task (DESIGN §6) and bounds of what crosses a wire. */

const MIB = 1 << 20

/** Wall time of a task, ms. Ten minutes cover an interactive cell; a batch names its own. */
export const DEFAULT_WALL_MS = 600_000
/** CPU time, ms: as wall time, on one CPU. */
export const DEFAULT_CPU_MS = 600_000
/** CPUs in thousandths. */
export const DEFAULT_MILLI_CPUS = 1000
export const DEFAULT_MEMORY_BYTES = 4096 * MIB
export const DEFAULT_DISK_BYTES = 2048 * MIB
/** Output of a task over all cells. */
export const DEFAULT_OUTPUT_BYTES = 64 * MIB
/** Stream text of one cell. */
export const CELL_TEXT_BYTES = 16 * MIB

/** Limits are chosen from these steps, so that they tell little about the program (R37). */
export const WALL_STEPS_MS = [
  60_000, 120_000, 300_000, 600_000, 1_800_000, 3_600_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000
]
export const MEMORY_STEPS_BYTES = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536].map(mib => mib * MIB)

/** A payload above this travels as a sealed blob by hash, not inside a frame. */
export const INLINE_PAYLOAD_BYTES = 256 * 1024
/** Plaintext sizes of a sealed frame (R37): padded up to one of these; larger batches are cut into several frames. */
export const FRAME_SIZES = [256, 1024, 4096, 16384, 65536]
/** Largest bundle, before padding. */
export const MAX_BUNDLE_BYTES = 256 * MIB
/** Largest sealed blob. */
export const MAX_BLOB_BYTES = 65 * MIB
/** A bundle up to this size is sent inside the request and the notice, saving a round trip. */
export const INLINE_BUNDLE_BYTES = 128 * 1024
/** Largest transaction, canonical bytes with signatures: 64 tasks with 8 candidates fit. */
export const MAX_TRANSACTION_BYTES = 256 * 1024
/** Unacknowledged bytes a client or a bridge leaves open: 16 full frames; bounds what a paused reader costs (STYLE). */
export const ACK_WINDOW_BYTES = MIB
