/** Bytes after which a log goes on in a new file. A task of 64 MiB has nine of them, and a repair reads one, not all. */
export const SEGMENT_BYTES = 8 << 20

/**
 * Entries of an open log kept in memory, bytes. A subscriber inside its acknowledgement window (1 MiB) is never more than
 * this behind, so what is live is never read back from the disk.
 */
export const TAIL_BYTES = 1 << 20

/** Bytes of one page of entries: large enough to amortise a message, small enough that four fit an open window. */
export const PAGE_BYTES = 256 << 10

/** Distance between remembered positions in a log, bytes. A range read skips at most this much. */
export const MARK_BYTES = 64 << 10

/** Length and CRC-32 of a record, before it. */
export const RECORD_HEADER_BYTES = 8

/** Largest record: a sealed frame of 64 KiB and its numbers. A larger length on disk is damage. */
export const MAX_RECORD_BYTES = 128 << 10

/** Logs without a user that stay open. Each holds a descriptor and at most {@link TAIL_BYTES}; the oldest is closed. */
export const IDLE_LOGS = 64

/** Buffers handed to one `writev`; Linux takes 1024 (IOV_MAX). */
export const WRITE_BATCH = 512

/** Room beside the program's own output that a task's log may take: padding to frame sizes, headers, signed heads. */
export const QUOTA_SLACK_BYTES = 16 << 20
