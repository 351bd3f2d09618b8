/**
 * What a light client is given: roots of the state and of the ordered transactions, and the paths that show one row or one
 * transaction under them. Reading and checking them is core/protocol's (`verifyProof`), which a browser has too.
 *
 * ```ts
 * const trees = new CheckpointTrees(hashing, state)
 * trees.add(commit, state)
 * state.write(commit.writes)
 * const checkpoint = trees.checkpoint(state, { epoch: 0, previous: network, committee, nextCommittee: null })
 * const claims = [trees.proveRow(state, 'account', account)]
 * ```
 *
 * @packageDocumentation
 */
export { CheckpointTrees, CheckpointView, orderedAs, type CheckpointPlace } from './checkpoints.js'
export { scriptHashing, type Hashing } from './hashing.js'
export { StateRoot } from './state-root.js'
export { StateTree, type RowChange } from './state-tree.js'
export { TransactionTree } from './transaction-tree.js'
