/**
 * Largest header. What can be large (sources, pictures, tables) is payload; 4 MiB leaves room for the longest argument
 * list Linux takes (2 MiB) and for 64 KiB of text in which every character is escaped.
 */
export const MAX_HEADER_BYTES = 4 << 20

/** Largest payload from a runner: a picture of 50 MB is 67 MB in base64, just below this. */
export const MAX_RUNNER_PAYLOAD_BYTES = 64 << 20

/** Largest record of a runner, without its length in front. */
export const MAX_RUNNER_RECORD_BYTES = 4 + MAX_HEADER_BYTES + MAX_RUNNER_PAYLOAD_BYTES

/** Mime types of one display; IPython makes a dozen at most. */
export const MAX_MIMES = 64
