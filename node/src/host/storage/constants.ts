/** Version of the layout on disk. Another one is refused: the supervisor moves that state aside. */
export const STORE_VERSION = 1

/**
 * What LevelDB gathers in memory before it writes a table, bytes. Every commit is in its log at once; 8 MiB keep the work of
 * sorting tables rare (some thousand commits) and a restart's replay of the log below a tenth of a second.
 */
export const WRITE_BUFFER_BYTES = 8 << 20

/** Digits of a commit's index in a key, so that text order is number order. */
export const INDEX_DIGITS = 16
