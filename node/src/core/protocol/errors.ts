import { creditsText } from './encoding/schema.js'

/** One entry of the catalogue: what HTTP status it has and what it says to people. */
export interface ErrorEntry {
  /** HTTP status of the problem document (RFC 9457). */
  status: number
  /** What happened. `{name}` is replaced by that field of the error's data. */
  title: string
  /** What to do next. */
  advice: string
}

/** All errors of PEKKA by code. docs/errors.md is generated from this table. Codes are for ever; texts may improve. */
export const ERRORS = {
  // encoding, signatures, sealing
  ENCODING_MALFORMED: {
    status: 400,
    title: 'The message could not be read.',
    advice: 'Update PEKKA on both sides; if it stays, report it.'
  },
  ENCODING_NOT_CANONICAL: {
    status: 400,
    title: 'The bytes are not in canonical form.',
    advice: 'Update the program that made them.'
  },
  KEY_REFUSED: { status: 400, title: 'A key was refused because it is weak or malformed.', advice: 'Make a new key.' },
  SCHEMA_MISMATCH: {
    status: 400,
    title: 'The request has a wrong shape: {issue}',
    advice: 'See the API description at /openapi.json.'
  },
  SEAL_BROKEN: {
    status: 400,
    title: 'Sealed data could not be opened: it was changed, or the key is another one.',
    advice: 'Nothing was accepted. Run again; if it stays, choose another machine.'
  },
  SIGNATURE_INVALID: { status: 400, title: 'A signature does not hold.', advice: 'Sign again with the right key.' },

  // ledger
  ACCOUNT_UNKNOWN: {
    status: 404,
    title: 'The account {account} is not on this network.',
    advice: 'Check the network, or open the account first.'
  },
  ASK_MISMATCH: {
    status: 409,
    title: 'The price or the machine of the offer is no longer published.',
    advice: 'Fetch the prices again and send a new offer.'
  },
  BANDWIDTH_SPENT: {
    status: 429,
    title: 'The account has sent as much as it may for now.',
    advice: 'Its bandwidth comes back within the hour, enough for this in {seconds} s; a bond lets it come back faster.'
  },
  AUCTION_ENDED: {
    status: 409,
    title: 'The auction is over ({reason}).',
    advice: 'Nothing was charged. Run it again, or without --auction.'
  },
  AUCTION_NO_BID: {
    status: 409,
    title: 'No machine bid at or below the highest price.',
    advice: 'Nothing was charged. Name a higher price, or buy at a published one, without --auction.'
  },
  BLOCK_INVALID: {
    status: 400,
    title: 'A witness sent a block that breaks a rule ({rule}).',
    advice: 'Nothing was accepted. If one witness keeps sending such blocks, tell its operator.'
  },
  BODY_NOT_ALLOWED: {
    status: 403,
    title: 'This key may not do that ({body}).',
    advice: 'Use the account key, or grant the key more.'
  },
  BODY_NOT_YET: {
    status: 501,
    title: 'This network does not know "{body}" yet.',
    advice: 'It comes with a later version.'
  },
  CANDIDATE_NOT_NAMED: {
    status: 409,
    title: 'This provider may not take the task now.',
    advice: 'Nothing to do: another machine runs it.'
  },
  COMMIT_TOO_LARGE: {
    status: 413,
    title: 'Commit {index} is too large to be shown ({size} bytes).',
    advice:
      'What is in it is final all the same. Ask for its transactions: "pekka ledger account", "pekka ledger prove".'
  },
  CONSENSUS_CONFLICT: {
    status: 500,
    title:
      'Witnesses contradict one another ({issue}): more than a third of the stake is dishonest, or there is a fault in the software.',
    advice: 'The witness has stopped so that nothing more becomes final. Keep its data and report it.'
  },
  DELEGATE_CAP: {
    status: 402,
    title: 'This key may spend {cap}, and {used} are used or on hold.',
    advice: 'Renew the key in the wallet, or lower the cap.'
  },
  DELEGATE_EXPIRED: { status: 403, title: 'This key has expired.', advice: 'Pair again: "pekka pair".' },
  DELEGATE_UNKNOWN: { status: 403, title: 'The account knows no such key.', advice: 'Pair again: "pekka pair".' },
  FUNDS_MISSING: {
    status: 402,
    title: 'You have {have}, this needs {need}.',
    advice: 'Lower the cap, or add credits.'
  },
  HISTORY_PRUNED: {
    status: 410,
    title: 'The history is kept here from commit {first} on; {what} is not in it.',
    advice:
      'It was before that, or the id is wrong. Ask a witness that keeps more of the history; who follows the ledger goes on from that commit, or begins with a certified snapshot ("pekka witness snapshot"). Receipts hold their proofs themselves.'
  },
  KEYS_UNPROVEN: {
    status: 504,
    title: 'The bridge says that the account’s keys were changed, and gives no proof of it.',
    advice:
      'It may be done all the same, but do not rely on it: see "pekka account show" in a minute, through another bridge too. If it shows the keys from before, the change was kept back: make it again there.'
  },
  KEY_NOT_OWNER: {
    status: 403,
    title: 'The key of this wallet is none of the keys of the account {account}.',
    advice: '"pekka account show" tells this wallet’s key; those who hold the account’s keys can add it.'
  },
  LANE_SEQUENCE: {
    status: 409,
    title: 'Another transaction of this key came first (expected {expected}).',
    advice:
      'Look whether this one has come through (“pekka account show”) before it is signed again: a payment would be made twice.'
  },
  LIMIT_EXCEEDED: {
    status: 409,
    title: 'The claimed usage is more than the contract allows.',
    advice: 'Claim what the rules allow.'
  },
  NETWORK_MISMATCH: {
    status: 400,
    title: 'The transaction is for another network.',
    advice: 'Connect to the right bridge.'
  },
  NOT_ON_LEDGER: {
    status: 404,
    title: 'The ledger has no {what}.',
    advice: 'Check the id. A commit that is not final yet is not there either.'
  },
  OBJECT_EXISTS: { status: 409, title: 'This id is taken.', advice: 'Nothing to do if you sent it before.' },
  PARENT_UNKNOWN: {
    status: 409,
    title: 'A parent of the transaction is not known.',
    advice: 'Sign again with parents the ledger names.'
  },
  SIGNATURES_MISSING: {
    status: 403,
    title: 'The account needs {need} signatures for that, and this is {have}.',
    advice:
      'Send the file round: each owner runs "pekka account sign FILE", the last one "pekka account submit FILE". A page or command line gets its key by "pekka account grant".'
  },
  SNAPSHOT_INVALID: {
    status: 400,
    title: 'The snapshot does not hold: {issue}',
    advice: 'Nothing of it was taken. Get another, from another witness.'
  },
  STATE_LOCKED: {
    status: 409,
    title: 'The ledger in {path} is open in another process.',
    advice: 'Stop that one first: "pekka down".'
  },
  STATE_VERSION: {
    status: 409,
    title: 'The ledger in {path} has layout {found}, this version reads {needed}.',
    advice: '"pekka up" moves it aside; the wallet stays.'
  },
  TASK_STATE: {
    status: 409,
    title: 'The task is {state}; "{body}" is not possible now.',
    advice: 'Nothing to do: look at the task.'
  },
  TASK_UNKNOWN: { status: 404, title: 'There is no such task.', advice: 'Check the id: "pekka tasks".' },
  TRANSACTION_EXPIRED: { status: 409, title: 'The transaction came too late.', advice: 'Sign and send it again.' },
  TRANSACTION_FILE: {
    status: 400,
    title: 'The file is no transaction of this version, or of another transaction than the first one.',
    advice: 'Take the file that "pekka account …" wrote, unchanged.'
  },
  TRANSACTION_INVALID: {
    status: 400,
    title: 'The transaction is not valid: {issue}',
    advice: 'Correct it and sign again.'
  },

  // bridge
  BLOB_MISMATCH: { status: 400, title: 'The data does not have the hash it was sent under.', advice: 'Send it again.' },
  BLOB_QUOTA: {
    status: 507,
    title: 'Too much of yours waits here for a task ({used} of {max} bytes).',
    advice: 'Send the tasks that need it first. What no task names is deleted after an hour.'
  },
  BLOB_TOO_LARGE: {
    status: 413,
    title: 'The data is larger than this bridge takes ({max} bytes).',
    advice: 'Send less, or ask the operator of the bridge.'
  },
  BLOB_UNKNOWN: {
    status: 404,
    title: 'There is no such data here.',
    advice: 'It may be gone after the task was closed.'
  },
  BRIDGE_BUSY: { status: 503, title: 'The bridge has too much to do.', advice: 'It will be tried again in a moment.' },
  BRIDGE_FULL: {
    status: 507,
    title: 'The bridge has no disk space left.',
    advice: 'Nothing was charged. Try again later, or tell its operator. Tasks that run go on.'
  },
  BRIDGE_UNREACHABLE: {
    status: 503,
    title: 'The bridge at {address} does not answer.',
    advice: 'Is it running? "pekka doctor" shows. Tasks that run go on.'
  },
  HOST_REFUSED: {
    status: 421,
    title: 'This name is not served here.',
    advice: 'Use the address that "pekka up" prints.'
  },
  LEDGER_BEHIND: {
    status: 503,
    title:
      'The other witnesses are at commit {told}, this one is at {last}, and nobody gives it what comes after that.',
    advice: 'Start it again: it then begins with a snapshot of another witness, if those blocks are gone.'
  },
  LEDGER_UNREACHABLE: {
    status: 503,
    title: 'The ledger does not answer.',
    advice: 'It is tried again; nothing is lost.'
  },
  ORIGIN_REFUSED: {
    status: 403,
    title: 'Pages from {origin} may not use this bridge.',
    advice: 'Add the origin to the settings of the bridge.'
  },
  QUEUE_UNREACHABLE: {
    status: 503,
    title: 'The queue (Redis) does not answer.',
    advice: 'It is tried again; nothing is lost.'
  },
  RATE_LIMITED: { status: 429, title: 'Too many requests.', advice: 'Wait a moment.' },
  ROUTE_UNKNOWN: { status: 404, title: 'There is nothing here.', advice: 'See /openapi.json.' },
  TOKEN_INVALID: {
    status: 401,
    title: 'You are not signed in, or no longer.',
    advice: 'It is renewed by itself; else pair again.'
  },

  // network and streams
  LINK_CLOSED: { status: 503, title: 'The connection was closed.', advice: 'It is opened again by itself.' },
  LINK_MESSAGE_TOO_LARGE: {
    status: 400,
    title: 'A message of {size} bytes is larger than allowed.',
    advice: 'Update PEKKA on both sides.'
  },
  LINK_LOST: { status: 503, title: 'The connection was lost ({reason}).', advice: 'It is opened again by itself.' },
  LINK_PROTOCOL: {
    status: 400,
    title: 'The other side broke the protocol: {issue}',
    advice: 'Update PEKKA on both sides.'
  },
  LINK_RESET: { status: 503, title: 'The other side reset the connection.', advice: 'It is opened again by itself.' },
  LINK_TIMEOUT: {
    status: 504,
    title: 'The other side did not answer within {seconds} s.',
    advice: 'It is tried again.'
  },
  PEER_NOT_VOUCHED: {
    status: 403,
    title: 'The peer does not prove that it belongs to its account.',
    advice: 'Start the provider with its own key file.'
  },
  PEER_UNREACHABLE: {
    status: 503,
    title: 'Nothing answers at {address}.',
    advice: 'Is it running, and is the address right?'
  },

  // client
  ARTIFACT_MISSING: {
    status: 404,
    title: 'This did not come back from the machine.',
    advice: 'It was too large, or the task is not done. Have the code write a smaller file, and run again.'
  },
  CAP_TOO_LOW: { status: 400, title: 'A cap of {cap} is less than one second costs.', advice: 'Raise the cap.' },
  FRAME_GAP: { status: 502, title: 'Output arrived with a gap or out of order.', advice: 'It is fetched again.' },
  HEAD_MISMATCH: {
    status: 502,
    title: 'The output is not what the machine signed or fixed on the ledger.',
    advice: 'Do not use this result. Run again on another machine.'
  },
  IMAGE_LIST_INVALID: {
    status: 502,
    title: 'The bridge’s list of environments does not hold: {issue}. Nothing was sent.',
    advice: 'Try again later; if it stays, tell who runs the bridge.'
  },
  IMAGE_NOT_OFFERED: {
    status: 409,
    title: 'No machine offers {image}, which this code needs ({why}). Nothing was charged.',
    advice:
      'On a machine of yours: npx pekka image build {image}, then start PEKKA there again. Or choose another environment: {known}.'
  },
  IMAGE_RETIRED: {
    status: 409,
    title: 'The environment "{image}", in the version that is offered, was withdrawn by this network: {reason}',
    advice:
      'Nothing was charged. Choose another environment, or a machine with a newer version: "pekka image list" shows what is known; who runs a machine updates PEKKA and builds it again.'
  },
  IMAGE_UNKNOWN: {
    status: 404,
    title: 'No machine offers the environment "{image}".',
    advice: 'Choose one of: {known}.'
  },
  IMAGE_UNLISTED: {
    status: 409,
    title: 'What machines offer as "{image}" is not what this network lists under that name. Nothing was sent.',
    advice:
      'Their version may be another than the network’s: build it where you trust the machine, "pekka image build {image}".'
  },
  INPUT_EMPTY: { status: 400, title: 'Nothing to run: there is no code.', advice: 'Write some code first.' },
  INPUT_FILE_CHANGED: {
    status: 409,
    title: 'The file {path} changed while it was sent.',
    advice: 'Wait until nothing writes to it, then run again. Nothing was charged.'
  },
  INPUT_FILE_UNREADABLE: {
    status: 400,
    title: 'The file {path} cannot be sent: {issue}',
    advice: 'Nothing was charged. Correct the file or its rights, or leave it at home.'
  },
  INPUT_FILES_TOO_LARGE: {
    status: 413,
    title: 'What travels is too large ({size} bytes; at most {max}).',
    advice: 'Send less: leave files or values at home, or send a part of them.'
  },
  INPUT_NOT_PYTHON: {
    status: 400,
    title: 'Only Python runs remotely; this is {language}.',
    advice: 'Choose a Python notebook.'
  },
  INPUT_NOTEBOOK: { status: 400, title: 'The notebook cannot be read: {issue}', advice: '{remedy}' },
  INPUT_REQUIREMENTS: {
    status: 400,
    title: '{file}, line {line}: {what} can’t be used there.',
    advice: 'Only packages from the index, by their names, are installed. Take the line out, or name the package.'
  },
  INPUT_TOO_LARGE: {
    status: 413,
    title: 'The code is too large ({size} bytes; at most {max}).',
    advice: 'Put data into files.'
  },
  NO_MATCH: {
    status: 409,
    title: 'No machine matches. Nothing was charged.',
    advice: 'Loosen a limit, or wait for a machine.'
  },
  NOT_CONNECTED: {
    status: 503,
    title: 'Not connected to the bridge.',
    advice: 'Tasks that run go on; it is tried again.'
  },
  PACKAGE_MISSING: {
    status: 409,
    title: 'No environment has {packages}. Nothing was charged.',
    advice: 'Leave out what needs it: --without NAME. Or run anyway in {image}: --image {image}.'
  },
  PACKAGE_UNKNOWN: {
    status: 409,
    title: '{question} Nothing was sent.',
    advice: 'Say which package has it: --with {module}=PACKAGE. Or leave it out: --without {module}.'
  },
  PAIRING_FAILED: {
    status: 403,
    title: 'The pairing code is wrong, used or too old.',
    advice: 'Get a new one with "pekka pair".'
  },
  PROOF_INVALID: {
    status: 400,
    title: 'The ledger proof does not hold: {issue}',
    advice: 'Ask another bridge or witness for it, and do not rely on what it was to show.'
  },
  PROOF_MISSING: {
    status: 404,
    title: 'There is no ledger proof of it.',
    advice: 'Try again in a second; without a proof it is no more than the bridge’s word.'
  },
  RECEIPT_INVALID: {
    status: 400,
    title: '{part} fails: {issue}',
    advice: 'Changed after signing, or from another task.'
  },
  VALUE_REFUSED: {
    status: 502,
    title: 'What the machine sent as {name} was not taken: {issue}',
    advice: 'Nothing was run. Run again on another machine, or have the code write a file.'
  },
  WALLET_UNREACHABLE: { status: 503, title: 'The wallet does not answer.', advice: 'Start it with "pekka up".' },

  // packages on top of an image, and inputs
  INPUT_REFUSED: {
    status: 400,
    title: 'The input {url} is not fetched: {issue}',
    advice: 'Use an https:// address of a public server, or send the file along.'
  },
  INPUT_TOO_BIG: {
    status: 413,
    title: 'The input {url} is larger than {max} bytes.',
    advice: 'Fetch a part of it, or keep it at a place that the program can be sent to.'
  },
  INPUT_UNREACHABLE: {
    status: 502,
    title: 'The input {url} could not be fetched: {issue}',
    advice: 'Is the address right? Nothing was charged.'
  },
  LAYER_CONFLICT: {
    status: 409,
    title: 'These packages do not go together: {issue}',
    advice: 'Loosen a version. Nothing was charged.'
  },
  LAYER_DOUBTFUL: {
    status: 409,
    title: '"{name}" is one letter away from "{likely}".',
    advice: 'If it is what you mean, name its version: {name}==VERSION.'
  },
  LAYER_IMAGE_UNKNOWN: {
    status: 409,
    title: 'This bridge has no package list of the environment "{image}" as the machines offer it.',
    advice: 'Use an environment that has the package, or update PEKKA on both sides.'
  },
  LAYER_NOT_HERE: {
    status: 404,
    title: 'The packages of the task are not here any more.',
    advice: 'Run again: they are looked up anew.'
  },
  LAYER_REFUSED: {
    status: 400,
    title: '{what} is not used: {issue}',
    advice: 'Report it to who publishes the package, or take another version.'
  },
  LAYER_SOURCE_ONLY: {
    status: 409,
    title: '{package} is published as source only, and nothing is built from source. Nothing was charged.',
    advice: 'Look for a package that has wheels, or for a version that has: {package}==VERSION.'
  },
  LAYER_TOO_LARGE: {
    status: 413,
    title: 'The packages are too large ({size} bytes; at most {max}).',
    advice: 'Use an environment that has them: "pekka image list".'
  },
  LAYER_TOO_NEW: {
    status: 409,
    title: '{package} was published in the last {days} days, or no older version fits.',
    advice: 'Wait, ask for an older version, or let the operator of the bridge change the waiting time.'
  },
  LAYER_UNKNOWN_PACKAGE: {
    status: 404,
    title: 'There is no package "{name}".',
    advice: '{remedy}'
  },
  LAYERS_OFF: {
    status: 501,
    title: 'This bridge does not add packages.',
    advice: 'Use an environment that has them, or another bridge.'
  },
  LAYERS_UNREACHABLE: {
    status: 502,
    title: 'The package index does not answer: {issue}',
    advice: 'Check connection, proxy and index settings of the computer that the bridge runs on. Nothing was charged.'
  },
  REQUIREMENT_REFUSED: {
    status: 400,
    title: '"{requirement}" is not a package that can be added: {issue}.',
    advice: 'Write a name with versions, for example humanize>=4.'
  },

  // images, sandbox, provider
  BUNDLE_REFUSED: { status: 400, title: 'The task could not be opened: {issue}', advice: 'Send it again.' },
  SESSION_NOT_OFFERED: {
    status: 503,
    title: 'No machine keeps a session now.',
    advice: 'Run the cells as one task, or try later.'
  },
  SESSION_ENDED: {
    status: 409,
    title: 'The session is over. {why}.',
    advice: 'Open a new one, and run its cells again there.'
  },
  CELL_REFUSED: {
    status: 409,
    title: 'The cell does not fit into its session: {issue}',
    advice: 'Reload the notebook, then run the cell again.'
  },
  DISK_FULL: {
    status: 507,
    title: 'The disk is full: {need} bytes are needed at {path}, {have} are free.',
    advice: 'Free some space.'
  },
  IMAGE_BUILD_FAILED: {
    status: 500,
    title: 'The environment "{image}" could not be built: {issue}',
    advice: 'See {log}, then try again: "pekka image build {image}".'
  },
  IMAGE_DEFINITION_INVALID: {
    status: 500,
    title: 'The definition of the environment "{image}" is not valid: {issue}',
    advice: 'Correct the files in sandbox-images/{image}.'
  },
  IMAGE_DOWNLOAD_FAILED: {
    status: 502,
    title: 'The environment "{image}" could not be downloaded ({what}): {issue}',
    advice:
      'Check connection, proxy and mirrors, then try again: "pekka image build {image}". The small one needs a tenth: "pekka image build base-small". Log: {log}'
  },
  IMAGE_IMPORT_FAILED: {
    status: 500,
    title: 'Docker Engine did not take the environment "{image}": {issue}',
    advice: 'Is there space where Docker keeps its images? Sandboxes without Docker go on.'
  },
  IMAGE_NOT_BUILT: {
    status: 404,
    title: 'The environment "{image}" is not on this machine.',
    advice: 'Build it: "pekka image build {image}".'
  },
  IMAGE_NOT_REGISTERED: {
    status: 409,
    title: 'The environment "{image}" is not used: {issue}.',
    advice: 'Its files may have been mixed up. Build it again: "pekka image build {image}".'
  },
  IMAGE_SOURCE_MISSING: {
    status: 502,
    title:
      'The environment "{image}" needs {packages}, which the usual index does not have, and no other source has it.',
    advice:
      'Set PEKKA_FIND_LINKS to a folder or page with the file, or PEKKA_EXTRA_INDEX_URL to an index that has it (its publisher names one), or configure pip so; then "pekka image build {image}".'
  },
  RUNNER_LOST: { status: 500, title: 'The sandbox ended by itself.', advice: 'The task is tried elsewhere.' },
  RUNNER_PROTOCOL: {
    status: 500,
    title: 'The sandbox sent something that is no record: {issue}',
    advice: 'The task is tried elsewhere; if it stays, report it with the name of the image.'
  },
  SANDBOX_FAILED: {
    status: 500,
    title: 'A sandbox could not be started: {issue}',
    advice: '"pekka doctor" shows why.'
  },
  SANDBOX_UNUSABLE: { status: 500, title: 'No sandbox works here: {issue}', advice: '{remedy}' },

  // command line, set-up
  ALREADY_RUNNING: {
    status: 409,
    title: 'PEKKA runs already (process {pid}) at {address}.',
    advice: 'Use that one, or stop it: "pekka down".'
  },
  PORT_TAKEN: {
    status: 409,
    title: 'Port {port} is taken.',
    advice: 'Choose another with --port; a witness with --listen.'
  },
  SETUP_FAILED: { status: 500, title: '{step} failed.', advice: 'Log: {log}' },
  SETUP_RIGHTS: { status: 403, title: 'Some system packages are missing: {packages}', advice: 'Run: {command}' },
  USAGE: { status: 400, title: '{issue}', advice: 'See "pekka --help".' },

  INTERNAL: {
    status: 500,
    title: 'PEKKA failed ({id}).',
    advice: 'This is our fault. Please report it with this number.'
  }
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof ERRORS
/** Typed facts of an error; bigint amounts are shown as credits by the UI. Never keys, tokens or user content. */
export type ErrorData = Record<string, string | number | bigint | boolean | null>

/** An error with a stable code. Compare by `code`, never by class or text. */
export class PekkaError extends Error {
  override readonly name = 'PekkaError'
  readonly code: ErrorCode
  readonly data: ErrorData

  constructor(code: ErrorCode, data: ErrorData = {}, options?: { cause?: unknown }) {
    super(fill(ERRORS[code].title, data))
    if (options?.cause !== undefined) this.cause = options.cause
    this.code = code
    this.data = data
  }

  get status(): number {
    return ERRORS[this.code].status
  }

  /** What to do next, one sentence. */
  get advice(): string {
    return fill(ERRORS[this.code].advice, this.data)
  }

  /** RFC 9457 problem document with our code. */
  toProblem(): Problem {
    const data = Object.fromEntries(
      Object.entries(this.data).map(([key, value]) => [
        key,
        typeof value === 'bigint' ? `${value} micro-credits` : value
      ])
    )
    return {
      type: `urn:pekka:error:${this.code}`,
      title: this.message,
      status: this.status,
      code: this.code,
      detail: this.advice,
      data
    }
  }
}

export interface Problem {
  type: string
  title: string
  status: number
  code: string
  detail: string
  data: Record<string, string | number | boolean | null>
}

/** Wraps whatever was thrown, once, at a border; a PekkaError passes unchanged. */
export function asPekkaError(error: unknown): PekkaError {
  if (isPekkaError(error)) return error
  return new PekkaError('INTERNAL', { id: 'unexpected' }, { cause: error })
}

export const isPekkaError = (error: unknown): error is PekkaError =>
  error instanceof Error && error.name === 'PekkaError' && 'code' in error

/** Turns a problem document from a wire back into an error; an unknown code becomes INTERNAL. */
export function fromProblem(problem: { code?: unknown; data?: unknown }): PekkaError {
  const code =
    typeof problem.code === 'string' && Object.hasOwn(ERRORS, problem.code) ? (problem.code as ErrorCode) : 'INTERNAL'
  const data: ErrorData = {}
  if (problem.data !== null && typeof problem.data === 'object') {
    for (const [key, value] of Object.entries(problem.data)) {
      if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' || value === null)
        data[key] = value
    }
  }
  return new PekkaError(code, data)
}

/** Money in the errors of the ledger's rules. */
const MONEY: Partial<Record<string, readonly string[]>> = {
  CAP_TOO_LOW: ['cap'],
  DELEGATE_CAP: ['cap', 'used'],
  FUNDS_MISSING: ['have', 'need']
}

/** What a transaction that is not applied came to: an outcome holds texts alone, and money in it is plain digits. */
export function fromOutcome({ code, data }: { code: string; data: Record<string, string> }): PekkaError {
  const money = MONEY[code] ?? []
  const named = Object.entries(data).map(([key, value]) => [
    key,
    money.includes(key) && /^\d+$/.test(value) ? `${value} micro-credits` : value
  ])
  return fromProblem({ code, data: Object.fromEntries(named) })
}

const fill = (text: string, data: ErrorData): string =>
  text.replace(/\{(\w+)\}/g, (whole, name: string) => (Object.hasOwn(data, name) ? shown(data[name]) : whole))

/** Amounts are bigint inside and `N micro-credits` on a wire; people read credits. */
function shown(value: ErrorData[string] | undefined): string {
  const micro = typeof value === 'bigint' ? value : /^(\d+) micro-credits$/.exec(String(value))?.[1]
  if (micro === undefined) return String(value)
  return `${creditsText(BigInt(micro))} credits`
}
