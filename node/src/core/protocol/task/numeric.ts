/**
 * Which code paths numeric libraries take in a task: `pinned` to what every provider has, so that results can be compared (the default);
 * `native`, all that the machine can, which is faster and may differ in the last digits; `other`, pinned to another kind of processor,
 * for telling whether a result depends on it (`pekka run --runs 2`).
 */
export const NUMERIC_PATHS = ['pinned', 'native', 'other'] as const
export type NumericPath = (typeof NUMERIC_PATHS)[number]
