/** The sandbox's user, inside. Images have it in /etc/passwd as `pekka`. */
export const SANDBOX_UID = 10_001
export const SANDBOX_GID = 10_001
export const SANDBOX_HOME = '/home/pekka'
/** Working directory of the runner; it makes it. */
export const SANDBOX_WORK = '/home/pekka/work'
/** Where a task's packages and inputs are seen, read-only (docs/decisions/0008). Images have nothing there. */
export const SANDBOX_EXTRAS = '/srv/pekka'
/** The same on every provider, so that a program can't tell them apart by it (R21). */
export const SANDBOX_HOSTNAME = 'pekka'

/**
 * Where the users of bubblewrap's sandboxes begin on the host when the provider runs as root; each sandbox gets one of
 * the 2^24 that follow. 0x70000000 is above what distributions, useradd, subuid ranges (from 100000) and systemd
 * (up to 0x6fffffff) give to anybody, so a sandbox never has the uid of a person or a service.
 */
export const HOST_UID_BASE = 0x70000000
export const HOST_UID_COUNT = 1 << 24

/** Part of the disk limit that /tmp gets; /home/pekka gets the rest. Their sum is the limit, whatever the runtime. */
export const TMP_SHARE = 1 / 4

/** A file system of the sandbox takes one file per this many bytes of it: 131,072 files in 2 GiB. Each costs ~1 KiB of kernel memory. */
export const BYTES_PER_INODE = 16_384
/** …but at least so many, or a small disk couldn't hold a Python package. */
export const FEWEST_INODES = 4096

/** /dev/shm: as Docker's default. multiprocessing's semaphores and small shared arrays; counts as memory. */
export const SHM_BYTES = 64 << 20

/** Processes that belong to the runtime itself (bwrap and its init; docker-init) and come on top of the task's limit. */
export const RUNTIME_PIDS = 3

/** Under memory pressure the kernel takes sandboxes before anything of the provider's. The runner raises its kernel's above this. */
export const OOM_SCORE_ADJ = 500

/** Period of the CPU quota, µs: the kernel's default. */
export const CPU_PERIOD_US = 100_000

/** A sandbox that isn't gone this long after SIGKILL hangs in the kernel: an error, not a wait without end. */
export const KILL_TIMEOUT_MS = 10_000

/** How often we look whether killed processes are gone. There is no event for a process that isn't our child. */
export const KILL_POLL_MS = 5
