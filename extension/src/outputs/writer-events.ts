import type { EventOf } from '@pekka/node/protocol'

/** What happens to the cells of a task while it runs, for the line, the panel and the dialogs. */
export type WriterEvent =
  /** The cell is gone; its output is kept and comes back if the deletion is undone. */
  | { type: 'deleted'; cell: string }
  | { type: 'restored'; cell: string }
  /** The source differs from what was sent (or, with false, equals it again). */
  | { type: 'edited'; cell: string; edited: boolean }
  /** The user ran the cell here: it is no longer written to and its metadata is removed. */
  | { type: 'run-locally'; cell: string }
  /** Another remote run writes into the cell now, of this page or, in a shared notebook, of another one. */
  | { type: 'superseded'; cell: string }
  /**
   * The cell stands elsewhere (moved by another page of a shared notebook, cut and pasted), and what wrote to it went with its old
   * place: to be written anew after another `begin`, with all events from the first on. Told once.
   */
  | { type: 'displaced'; cell: string }
  /** The shown output belongs to an earlier attempt (show it greyed) or no longer does (R14). */
  | { type: 'stale'; cell: string; stale: boolean }
  | { type: 'cell-start'; cell: string }
  | { type: 'cell-end'; cell: string; status: EventOf<'cell-end'>['status'] }
