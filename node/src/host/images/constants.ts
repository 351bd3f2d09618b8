/** Version of image.json, of a definition and of what is written beside a built tree. A tree of another format is built again. */
export const IMAGE_FORMAT = 1

/** Hex digits of the digest in folder names and tags: 48 bits, ample to tell the builds of one name apart. */
export const DIGEST_DIGITS = 12

/** The user of every sandbox, in the tree's passwd and in the image of the engine (DESIGN §7). */
export const SANDBOX_USER = { name: 'pekka', uid: 10001, gid: 10001, home: '/home/pekka', work: '/home/pekka/work' }

/** Where the Python environment stands in the tree. */
export const ENVIRONMENT_PATH = 'opt/pekka/env'

/** Where the runner stands in the tree. */
export const RUNNER_PATH = 'opt/pekka/runner'

/** Seconds uv waits for an answer of an index, where the user has set nothing: its own 30 s are short for slow lines. */
export const INDEX_TIMEOUT_SECONDS = 120

/** Where caches that libraries would else fill in every sandbox stand in the tree. The runner copies them to `~/.cache`. */
export const CACHE_PATH = 'opt/pekka/cache'

/** Filling the caches takes 2 to 60 s; a machine under load takes several times as long. Without an end in this time a tree has none. */
export const CACHE_TIMEOUT = 600_000

/** Bytes of all caches of a tree: each sandbox copies them. matplotlib's list of fonts has 27 kB, numba's functions of biology some MB. */
export const CACHE_BYTES = 64 << 20

/** Where a definition's startup.py stands in site-packages. A `.pth` file beside it makes every interpreter import it. */
export const STARTUP_MODULE = '_pekka_image_startup'

/** Files hashed at a time. Reading overlaps with hashing; more only holds more memory (the largest file is about 100 MB). */
export const HASH_CONCURRENCY = 6

/** Lines of a failed command that an error shows; the log has all of them. */
export const SHOWN_LINES = 12

/** Modules are imported by this many processes during `verify`; each holds up to some 800 MB after its share of base. */
export const VERIFY_PROCESSES = 2

/** One import that takes longer than this counts as failed, ms. On a busy machine the slowest took 11 s, and one without its cache over two minutes. */
export const VERIFY_IMPORT_TIMEOUT = 600_000
