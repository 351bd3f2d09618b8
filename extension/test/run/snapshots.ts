/** Tasks at some moment, for tests of what is said about them. */
import type { TaskSnapshot } from '../../src/run/snapshot.js'

export const HOUR_14_06 = Date.UTC(2026, 0, 1, 14, 6)

export const snapshot = (part: Partial<TaskSnapshot> = {}): TaskSnapshot => ({
  task: 'ab'.repeat(32),
  kept: null,
  title: 'fit.ipynb, cell 5',
  kind: 'cell',
  path: 'fit.ipynb',
  cells: ['c5'],
  submittedAt: HOUR_14_06,
  phase: { phase: 'running', provider: new Uint8Array(32), attempt: 1 },
  lost: null,
  attempt: 1,
  tries: 2,
  provider: 'birch-2',
  image: 'base',
  cap: 500_000n,
  price: 1_800n,
  runningSince: HOUR_14_06,
  end: null,
  error: null,
  missingModule: null,
  paid: null,
  charged: null,
  refunded: null,
  progress: new Map(),
  fraction: null,
  lastLines: [],
  files: [],
  moreFiles: 0,
  canFetch: false,
  saved: null,
  values: [],
  brought: null,
  cancelling: false,
  ...part
})

export const ended = (
  reason: NonNullable<TaskSnapshot['end']>['reason'],
  outcome: NonNullable<TaskSnapshot['end']>['outcome'],
  detail: NonNullable<TaskSnapshot['end']>['detail'] = {}
): Partial<TaskSnapshot> => ({
  phase: { phase: 'settled' },
  end: { reason, outcome, detail, usage: { wallMs: 41_000, cpuMs: 40_000, maxMemoryBytes: 0, outputBytes: 0 } },
  paid: 73_800n,
  refunded: 426_200n
})
