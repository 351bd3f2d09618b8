import type { ErrorCode } from '@pekka/node/protocol'

/**
 * What `pekka` exits with when it isn't the program's own code (ux/UX §5; after sysexits.h where it has a fitting one).
 */
export const EXIT = {
  ok: 0,
  /** Wrong use of the command line. */
  usage: 64,
  /** Two runs of one program differ (`--runs 2`). */
  differs: 65,
  /** No machine takes the task. */
  noMachine: 69,
  /** PEKKA itself failed. */
  ours: 70,
  /** Not connected; a task that runs goes on. */
  notConnected: 75,
  /** Not enough credits, or the key may not spend more. */
  noFunds: 77,
  /** Something isn't installed or not set up. */
  setUp: 78,
  /** The cap or the time limit was reached. */
  limit: 124,
  /** Cancelled, as a shell says of Ctrl-C. */
  cancelled: 130
} as const

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  USAGE: EXIT.usage,
  INPUT_EMPTY: EXIT.usage,
  INPUT_NOT_PYTHON: EXIT.usage,
  INPUT_NOTEBOOK: EXIT.usage,
  INPUT_TOO_LARGE: EXIT.usage,
  INPUT_REQUIREMENTS: EXIT.usage,
  INPUT_FILE_CHANGED: EXIT.usage,
  INPUT_FILE_UNREADABLE: EXIT.usage,
  INPUT_FILES_TOO_LARGE: EXIT.usage,
  ARTIFACT_MISSING: EXIT.usage,
  PACKAGE_UNKNOWN: EXIT.usage,
  CAP_TOO_LOW: EXIT.usage,
  INPUT_REFUSED: EXIT.usage,
  INPUT_TOO_BIG: EXIT.usage,
  LAYER_CONFLICT: EXIT.usage,
  LAYER_DOUBTFUL: EXIT.usage,
  LAYER_REFUSED: EXIT.usage,
  LAYER_SOURCE_ONLY: EXIT.usage,
  LAYER_TOO_LARGE: EXIT.usage,
  LAYER_TOO_NEW: EXIT.usage,
  LAYER_UNKNOWN_PACKAGE: EXIT.usage,
  REQUIREMENT_REFUSED: EXIT.usage,
  TASK_UNKNOWN: EXIT.usage,
  TRANSACTION_FILE: EXIT.usage,
  KEY_NOT_OWNER: EXIT.noFunds,
  SIGNATURES_MISSING: EXIT.noFunds,
  AUCTION_ENDED: EXIT.noMachine,
  AUCTION_NO_BID: EXIT.noMachine,
  BRIDGE_FULL: EXIT.noMachine,
  NO_MATCH: EXIT.noMachine,
  IMAGE_UNKNOWN: EXIT.noMachine,
  IMAGE_NOT_OFFERED: EXIT.noMachine,
  IMAGE_RETIRED: EXIT.noMachine,
  IMAGE_UNLISTED: EXIT.noMachine,
  IMAGE_LIST_INVALID: EXIT.noMachine,
  PACKAGE_MISSING: EXIT.noMachine,
  SESSION_ENDED: EXIT.noMachine,
  SESSION_NOT_OFFERED: EXIT.noMachine,
  LAYER_IMAGE_UNKNOWN: EXIT.noMachine,
  LAYERS_OFF: EXIT.noMachine,
  INPUT_UNREACHABLE: EXIT.notConnected,
  LAYERS_UNREACHABLE: EXIT.notConnected,
  NOT_CONNECTED: EXIT.notConnected,
  BRIDGE_UNREACHABLE: EXIT.notConnected,
  WALLET_UNREACHABLE: EXIT.notConnected,
  LEDGER_UNREACHABLE: EXIT.notConnected,
  FUNDS_MISSING: EXIT.noFunds,
  DELEGATE_CAP: EXIT.noFunds,
  DELEGATE_EXPIRED: EXIT.noFunds,
  ALREADY_RUNNING: EXIT.setUp,
  PORT_TAKEN: EXIT.setUp,
  SETUP_FAILED: EXIT.setUp,
  SETUP_RIGHTS: EXIT.setUp,
  IMAGE_NOT_BUILT: EXIT.setUp,
  SANDBOX_UNUSABLE: EXIT.setUp,
  DISK_FULL: EXIT.setUp
}

/** The exit code for an error of the catalogue. */
export const exitCodeOf = (code: ErrorCode): number => BY_CODE[code] ?? EXIT.ours
