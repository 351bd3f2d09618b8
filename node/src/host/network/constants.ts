/**
 * The yamux window of every stream, in bytes, at its start and at most. It is not negotiated, so both ends must be built
 * with the same number. 4 MiB fills a path of 100 MB/s at 40 ms (measured: 53 MB/s, against 9–12 with the default
 * 256 KiB that grows), and a window that can't grow stays below {@link READ_BUFFER_BYTES}.
 */
export const STREAM_WINDOW_BYTES = 4 << 20

/**
 * What the library may hold for a paused stream before it resets it. One full window can be under way when we pause,
 * so this must be larger than {@link STREAM_WINDOW_BYTES}; half as much again leaves room for a frame that overlaps.
 */
export const READ_BUFFER_BYTES = 6 << 20

/**
 * Bytes a stream may have waiting to be written before `send` makes its caller wait. 1 MiB keeps a 1 Gbit/s line busy
 * for 8 ms, longer than an event loop turn, and bounds what a peer that reads nothing costs us.
 */
export const WRITE_HIGH_WATER_BYTES = 1 << 20

/**
 * Bytes received but not yet taken, from which on a stream is paused. As much again as one window can arrive when it is
 * resumed (the library hands over all it held at once), so a slow reader costs at most this + 2 windows.
 */
export const READ_HIGH_WATER_BYTES = 1 << 20

/** A paused stream is resumed when this much is left, so that the line doesn't run dry while the rest is read. */
export const READ_LOW_WATER_BYTES = READ_HIGH_WATER_BYTES / 4

/**
 * Largest piece given to a stream at once: a noise message holds 65,519 bytes of plaintext, a yamux header takes 12. One
 * byte more and each piece would need two noise messages.
 */
export const MAX_CHUNK_BYTES = 65_519 - 12

/**
 * Messages below this size that are sent in one turn go out as one piece. Sealing and writing a piece costs some 30 µs
 * of CPU, as much as copying 100 KiB.
 */
export const JOIN_BELOW_BYTES = 16 << 10

/** Pieces below this size are copied together on arrival, so that a peer can't make us keep one object per byte. */
export const COALESCE_BELOW_BYTES = 4096

/** The block small pieces are gathered in. */
export const COALESCE_BLOCK_BYTES = 64 << 10

/** Bytes of a message's length prefix (u32, big-endian). */
export const PREFIX_BYTES = 4

/**
 * Largest message where the caller names none. It holds a full batch of sealed frames (64 KiB each) with room to spare;
 * anything larger (bundles, blobs) travels in parts.
 */
export const DEFAULT_MAX_MESSAGE_BYTES = 4 << 20

/** Agreeing on a protocol takes two round trips; behind a full window on a 1 Mbit/s line they take 33 s. */
export const NEGOTIATION_TIMEOUT_MS = 40_000

/** A dial with its handshake takes 12–180 ms on a quiet machine; 15 s covers a loaded one at the end of a bad line. */
export const DIAL_TIMEOUT_MS = 15_000

/** A graceful close waits so long for the other side; then the stream is reset. */
export const CLOSE_TIMEOUT_MS = 5_000

/** How long a request may take where the caller sets no other limit. */
export const REQUEST_TIMEOUT_MS = 30_000

/** Connections one host accepts. Each costs about 60 KB idle; 1,024 providers is far above what one bridge serves. */
export const MAX_INBOUND_CONNECTIONS = 1024

/** Connections accepted from one address. A lab behind one NAT may hold hundreds of machines. */
export const MAX_INBOUND_CONNECTIONS_PER_ADDRESS = 256

/** New connections a second from one address; a burst after a bridge's restart comes from many providers at once. */
export const MAX_INBOUND_PER_SECOND = 100

/** Streams of one protocol that one connection may have open at once. */
export const MAX_STREAMS_PER_PROTOCOL = 64

/**
 * Streams that may arrive before our side of a new connection is set up: who dials is done first, and may open many at once. The
 * library's 10 makes it drop the whole connection, and every stream on it, as soon as this process is a little slow.
 */
export const MAX_EARLY_STREAMS = 256

/** A link that has sent nothing for so long sends a ping, so that the other side knows that we live. */
export const PING_INTERVAL_MS = 10_000

/**
 * A link that has heard nothing for so long is dead. A full window ahead of the answer takes 33 s on a 1 Mbit/s line;
 * 60 s is that and three lost pings.
 */
export const SILENCE_LIMIT_MS = 60_000

/** First pause before a dial is tried again, ms. A bridge restarts in about a second. */
export const RECONNECT_MIN_MS = 250

/** Longest pause between two tries, ms. A provider is back within this time of its bridge. */
export const RECONNECT_MAX_MS = 15_000

/** Largest message of `/pekka/ledger/1`: a commit with its transactions and the tasks they changed. */
export const LEDGER_MESSAGE_BYTES = 16 << 20

/** Requests one ledger stream may have under way; more are left unread. */
export const MAX_LEDGER_REQUESTS = 64

/** A ledger stream ends after so many submissions in a row whose signatures don't hold. A relay carries several senders' and makes it anew. */
export const MAX_UNSIGNED_IN_A_ROW = 8

/** How long a ledger call tries again before it gives up; a witness restarts in a few seconds. */
export const LEDGER_PATIENCE_MS = 20_000

/**
 * Where the ledger is reached at several addresses, one that says nothing for so long is left for the next, ms: a witness that is stopped
 * keeps its connections. Asked thrice in that time; a busy machine answers late, and then nothing is lost but a new connection.
 */
export const LEDGER_SILENCE_MS = 6_000

/**
 * What is read of one peer's gossip a second, bytes, and at once. An honest one tells of what it couldn't get ordered, a megabyte a second at
 * most (core/consensus); taking a message apart costs some 10 ns a byte beside what is in it.
 */
export const GOSSIP_BYTES_PER_SECOND = 1 << 20
export const GOSSIP_BURST_BYTES = 2 << 20
/** Messages of one peer's gossip that are judged a second, and at once: two witnesses' batches. */
export const GOSSIP_MESSAGES_PER_SECOND = 100
export const GOSSIP_BURST_MESSAGES = 400
/** Bytes of gossip read ahead of what is judged, from which on a stream is paused, and below which it is resumed. */
export const GOSSIP_READ_HIGH_BYTES = 256 << 10
export const GOSSIP_READ_LOW_BYTES = 64 << 10
/** Largest frame of gossip: a transaction of the largest size, or a few batches. */
export const GOSSIP_RPC_BYTES = 1 << 20
/** Bytes of gossip that may wait for one peer; then its stream is thrown away, and made anew within a second. */
export const GOSSIP_OUTBOX_BYTES = 4 << 20
/** How long a message that was seen is known by its id, ms; later its content is. Shorter than who publishes it again waits. */
export const GOSSIP_SEEN_MS = 8_000
