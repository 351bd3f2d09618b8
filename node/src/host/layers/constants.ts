/** Bytes that one wheel may unpack to. torch's CPU build, the largest of the images, has 0.9 GB. */
export const MAX_UNPACKED_BYTES = 1_500_000_000

/** Bytes that all wheels of a layer may unpack to: what a provider's disk must have to spare for one task. */
export const MAX_LAYER_UNPACKED_BYTES = 4_000_000_000

/** Files of one wheel. The most seen in an image is some 12,000. */
export const MAX_WHEEL_FILES = 50_000

/** Bytes of a wheel's list of files (RECORD): 50,000 lines of some 150 bytes. */
export const MAX_RECORD_BYTES = 16 << 20

/** Entries up to this size are inflated in one piece; a stream each for thousands of small ones takes several times as long. */
export const AT_ONCE_BYTES = 1 << 20

/** Files written or linked at a time: enough to keep the disk busy, few enough for other work of the process. */
export const FILE_CONCURRENCY = 16

/** Unpacked wheels that a provider keeps, bytes. */
export const KEPT_BYTES = 10_000_000_000

/** A wheel used within this time is not removed, ms: a task may be about to link it. */
export const IN_USE_MS = 600_000
