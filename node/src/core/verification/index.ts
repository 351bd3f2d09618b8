/**
 * What makes results of two machines comparable: the canonical form of every kind of output, digests over it, and comparing two runs in
 * full. Pure and browser-safe. Rules: PROTOCOL R15; docs/determinism.md.
 *
 * @packageDocumentation
 */
export { CANONICAL_SCHEME, RunDigester } from './digester.js'
export { SessionDigester } from './session-digester.js'
export { canonicalValue } from './forms.js'
export { canonicalText } from './text.js'
export {
  RunOutputs,
  SECOND_RUN,
  compareRuns,
  type CellComparison,
  type Comparison,
  type Difference,
  type Verdict
} from './compare.js'
export { CAUSES, type Cause } from './causes.js'
export { comparisonWords, describeComparison, type CellWords, type ComparisonWords } from './words.js'
