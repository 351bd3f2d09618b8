/** Version of what stands in PEKKA_HOME/devnet. State of another version is moved aside, never read. */
export const DEVNET_FORMAT = 4

/** The first wait before a child that died is started again, ms; doubles with each death. */
export const RESTART_FIRST_MS = 500

/** The longest wait, ms: half a minute is what a person takes to look. */
export const RESTART_MAX_MS = 30_000

/** A child that ran this long has recovered: its wait starts anew, ms. */
export const RESTART_FORGET_MS = 60_000

/** Deaths in a row after which a child is given up. With doubling waits that is about two minutes of trying. */
export const RESTART_LIMIT = 8

/** How long a child may take until it serves, ms. A provider warms its pool: 7 s were seen on a busy machine; a slow disk takes far more. */
export const READY_TIMEOUT_MS = 120_000

/** How long a child may take to end after SIGTERM, ms. A provider removes its sandboxes, JupyterLab its kernels. */
export const STOP_GRACE_MS = 15_000

/** The same once the user has asked a second time, ms. */
export const HURRY_GRACE_MS = 1_000

/** A log is started anew at the next start when it is larger than this, bytes; the one before it stays as `.1`. */
export const LOG_BYTES = 16 << 20

/** JupyterLab's own first port. */
export const LAB_PORT = 8888

/** Providers of an embedded network: two, so that a second machine can take over. */
export const PROVIDERS = ['provider-1', 'provider-2'] as const

/** What a machine asks for a second in which it only waits for a session's next cell, micro-credits: a tenth of its price of work. */
export const HOLD_PRICE = '100'

/** How long a stopping network is waited for by who wants to start the next, ms. Longer than all grace times together. */
export const HANDOVER_MS = 60_000
