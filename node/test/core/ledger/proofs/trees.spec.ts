import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import {
  bitOf,
  concat,
  EMPTY_HASH,
  isPekkaError,
  stateKey,
  stateLeaf,
  stateRootOf,
  toHex,
  transactionLeaf,
  transactionsRootOf,
  u32,
  type OrderedTransaction,
  type StatePath
} from '@pekka/node/protocol'
import { scriptHashing, StateRoot, StateTree, TransactionTree } from '@pekka/node/ledger'
import { tries } from '../../../support/effort.js'

const digest = (...parts: Uint8Array[]): Uint8Array =>
  new Uint8Array(
    createHash('sha256')
      .update(concat(...parts))
      .digest()
  )

type Rows = Map<string, { key: Uint8Array; value: Uint8Array }>

/** The definition of the tree, word for word: nothing, one row, or two halves. */
function naiveRoot(rows: readonly { key: Uint8Array; value: Uint8Array }[], depth = 0): Uint8Array {
  const [first] = rows
  if (first === undefined) return EMPTY_HASH
  if (rows.length === 1) return stateLeaf(first.key, first.value)
  const side = (bit: number) => rows.filter(({ key }) => bitOf(key, depth) === bit)
  return digest(naiveRoot(side(0), depth + 1), naiveRoot(side(1), depth + 1))
}

/** Keys that crowd: most begin alike, some for 250 bits, so that deep and half-empty paths come up. */
const keyArbitrary = fc
  .record({ tail: fc.integer({ min: 0, max: 255 }), at: fc.constantFrom(0, 1, 15, 31), crowd: fc.boolean() })
  .map(({ tail, at, crowd }) => {
    const key = crowd ? new Uint8Array(32) : digest(u32(at))
    key[at] = tail
    return key
  })
const changeArbitrary = fc.record({
  key: keyArbitrary,
  value: fc.option(fc.integer({ min: 0, max: 3 }), { nil: null })
})
const valueOf = (value: number): Uint8Array => digest(u32(value))

function apply(tree: StateTree, rows: Rows, batch: readonly { key: Uint8Array; value: number | null }[]): StateTree {
  const changes = new Map(batch.map(({ key, value }) => [toHex(key), { key, value }]))
  for (const [name, { key, value }] of changes) {
    if (value === null) rows.delete(name)
    else rows.set(name, { key, value: valueOf(value) })
  }
  return tree.update(
    [...changes.values()].map(({ key, value }) => ({ key, value: value === null ? null : valueOf(value) }))
  )
}

const keyOf = (name: number): Uint8Array => stateKey('account', String(name))
const treeOf = (count: number): StateTree =>
  StateTree.empty(scriptHashing).update(
    Array.from({ length: count }, (_, at) => ({ key: keyOf(at), value: valueOf(at) }))
  )
/** Whether the path shows `value` under the root; a path of another form shows nothing. */
function shows(root: Uint8Array, key: Uint8Array, value: Uint8Array | null, path: StatePath): boolean {
  try {
    return toHex(stateRootOf(key, value, path)) === toHex(root)
  } catch (error) {
    assert.ok(isPekkaError(error) && error.code === 'PROOF_INVALID', String(error))
    return false
  }
}

describe('ledger: the tree of the state', () => {
  it('has the root of its definition after any batches of changes, and proves every row and every absence', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(changeArbitrary, { maxLength: 12 }), { maxLength: 6 }),
        fc.array(keyArbitrary, { maxLength: 4 }),
        (batches, probes) => {
          const rows: Rows = new Map()
          let tree = StateTree.empty(scriptHashing)
          for (const batch of batches) {
            tree = apply(tree, rows, batch)
            assert.equal(toHex(tree.root), toHex(naiveRoot([...rows.values()])))
          }
          for (const key of [...probes, ...[...rows.values()].map(row => row.key)]) {
            const { value, path } = tree.prove(key)
            assert.deepEqual(value, rows.get(toHex(key))?.value ?? null)
            assert.ok(shows(tree.root, key, value, path))
          }
        }
      ),
      { numRuns: tries(40, 150) }
    )
  })

  it('forgets a row that goes: what is left moves up to where it would stand without it', () => {
    const rows = [0, 1, 2, 128, 129, 255].map(last => {
      const key = new Uint8Array(32)
      key[31] = last
      return { key, value: valueOf(last) }
    })
    for (let first = 0; first < rows.length; first++) {
      let left = [...rows.slice(first), ...rows.slice(0, first)]
      let tree = StateTree.empty(scriptHashing).update(left)
      for (const { key } of [...left]) {
        left = left.filter(row => row.key !== key)
        tree = tree.update([{ key, value: null }])
        assert.equal(toHex(tree.root), toHex(naiveRoot(left)))
      }
    }
  })

  it('stays as it was when another one is made from it', () => {
    const before = treeOf(50)
    const root = toHex(before.root)
    const { value, path } = before.prove(keyOf(7))
    const after = before.update([
      { key: keyOf(7), value: null },
      { key: keyOf(99), value: valueOf(1) }
    ])
    assert.notEqual(toHex(after.root), root)
    assert.equal(toHex(before.root), root)
    assert.ok(shows(before.root, keyOf(7), value, path))
    assert.equal(shows(after.root, keyOf(7), value, path), false)
  })

  it('has the root that is reckoned row by row, from 64 bytes of each', () => {
    for (const count of [0, 1, 2, 3, 100, 700]) {
      const rows = Array.from({ length: count }, (_, at) => ({ key: String(at), value: u32(at % 5) }))
      const root = new StateRoot(scriptHashing)
      for (const { key, value } of rows) root.add('account', key, value)
      const leaves = rows.map(({ key, value }) => ({ key: stateKey('account', key), value: digest(value) }))
      assert.equal(toHex(root.root()), toHex(StateTree.empty(scriptHashing).update(leaves).root), `${count} rows`)
    }
    const twice = new StateRoot(scriptHashing)
    for (const value of [0, 1]) twice.add('account', 'a', u32(value))
    assert.throws(() => twice.root(), TypeError)
  })

  it('refuses a batch that changes a row twice', () => {
    const twice = [0, 1].map(value => ({ key: keyOf(1), value: valueOf(value) }))
    assert.throws(() => StateTree.empty(scriptHashing).update(twice), TypeError)
  })

  describe('a path from somebody who lies', () => {
    const tree = treeOf(200)
    // A path that doesn't fill the last byte of its marks.
    const key =
      Array.from({ length: 200 }, (_, at) => keyOf(at)).find(at => tree.prove(at).path.depth % 8 > 2) ?? keyOf(0)
    const { value, path } = tree.prove(key)
    const missing = keyOf(1_000)
    const absent = tree.prove(missing)
    const bad = (change: Partial<StatePath>): boolean => shows(tree.root, key, value, { ...path, ...change })
    const cut = (from: number, to?: number): Uint8Array => path.siblings.slice(from, to)

    it('is told apart from the honest ones', () => {
      assert.ok(bad({}))
      assert.ok(value !== null && path.depth % 8 > 2 && absent.value === null)
      assert.ok(shows(tree.root, missing, null, absent.path))
    })

    it('shows no other value, no absence of what is there, no other key', () => {
      assert.equal(shows(tree.root, key, valueOf(999), path), false)
      assert.equal(shows(tree.root, key, null, path), false)
      assert.equal(shows(tree.root, missing, value, path), false)
      assert.equal(shows(tree.root, missing, value, absent.path), false)
      assert.equal(shows(tree.root, key, null, absent.path), false)
    })

    it('is refused cut, lengthened, swapped and with one bit changed', () => {
      assert.equal(bad({ siblings: cut(32) }), false)
      assert.equal(bad({ siblings: cut(0, -32) }), false)
      assert.equal(bad({ siblings: cut(0, -1) }), false)
      assert.equal(bad({ siblings: concat(path.siblings, new Uint8Array(32)) }), false)
      assert.equal(bad({ siblings: concat(path.siblings, cut(0, 32)) }), false)
      assert.equal(bad({ siblings: concat(cut(32, 64), cut(0, 32), cut(64)) }), false)
      for (let at = 0; at < path.siblings.length; at += 17) {
        const changed = path.siblings.slice()
        changed[at] = (changed[at] ?? 0) ^ 1
        assert.equal(bad({ siblings: changed }), false)
      }
    })

    it('is refused with another depth', () => {
      for (const depth of [0, path.depth - 1, path.depth + 1, 256]) {
        const empty = new Uint8Array(Math.ceil(depth / 8))
        assert.equal(bad({ depth }), false)
        assert.equal(bad({ depth, empty }), false)
        assert.equal(bad({ depth, empty, siblings: cut(0, depth * 32) }), false)
      }
    })

    it('is refused with marks that are too many, too long or below the path', () => {
      const marked = (bit: number): Uint8Array => {
        const empty = path.empty.slice()
        empty[bit >>> 3] = (empty[bit >>> 3] ?? 0) ^ (128 >>> (bit & 7))
        return empty
      }
      for (let bit = 0; bit < path.empty.length * 8; bit++) {
        assert.equal(bad({ empty: marked(bit) }), false)
        assert.equal(bad({ empty: marked(bit), siblings: cut(32) }), false)
        assert.equal(bad({ empty: marked(bit), siblings: concat(path.siblings, new Uint8Array(32)) }), false)
      }
      assert.equal(bad({ empty: concat(path.empty, new Uint8Array(1)) }), false)
      assert.equal(bad({ empty: path.empty.slice(1) }), false)
    })

    it('has one form: an empty sibling that is sent instead of marked is refused, though its root is right', () => {
      const [a, b] = [new Uint8Array(32), new Uint8Array(32)]
      b[31] = 1
      const deep = StateTree.empty(scriptHashing).update([a, b].map(key => ({ key, value: valueOf(0) })))
      const honest = deep.prove(a).path
      assert.equal(honest.depth, 256)
      assert.equal(honest.siblings.length, 32)
      assert.ok(shows(deep.root, a, valueOf(0), honest))
      const sent = { ...honest, empty: new Uint8Array(32), siblings: concat(new Uint8Array(255 * 32), honest.siblings) }
      assert.throws(() => stateRootOf(a, valueOf(0), sent), { code: 'PROOF_INVALID' })
    })

    it('can’t pass a node off as another row, to hide one that is there', () => {
      const [left, right] = [path.siblings.slice(0, 32), path.siblings.slice(32, 64)]
      for (let depth = 0; depth <= path.depth; depth++) {
        const short = { depth, empty: new Uint8Array(Math.ceil(depth / 8)), siblings: cut(0, depth * 32) }
        assert.equal(shows(tree.root, key, null, { ...short, other: { key: left, value: right } }), false)
      }
    })

    it('shows no absence by the very row that is there, and no row beside another', () => {
      assert.ok(value !== null)
      const other = { key, value }
      assert.equal(shows(tree.root, key, null, { ...path, other }), false)
      assert.equal(bad({ other }), false)
      assert.equal(bad({ other: { key: missing, value } }), false)
    })

    it('has no form that no tree has: another row that is elsewhere, nothing or a row alone under its node', () => {
      const there = new Uint8Array(32)
      const elsewhere = new Uint8Array(32).fill(255)
      const one = { depth: 1, empty: new Uint8Array(1), siblings: digest(there), other: null }
      assert.ok(stateRootOf(there, valueOf(1), one))
      const other = { key: elsewhere, value: valueOf(1) }
      assert.throws(() => stateRootOf(there, null, { ...one, other }), { code: 'PROOF_INVALID' })
      const alone = { ...one, empty: Uint8Array.of(128), siblings: new Uint8Array(0) }
      for (const shown of [valueOf(1), null]) {
        assert.throws(() => stateRootOf(there, shown, alone), { code: 'PROOF_INVALID' })
      }
    })
  })
})

const orderedOf = (count: number): OrderedTransaction[] =>
  Array.from({ length: count }, (_, at) => ({
    index: Math.floor(at / 3),
    position: at % 3,
    id: digest(u32(at)),
    code: at % 4 === 0 ? 'FUNDS_MISSING' : null
  }))

/** RFC 6962, section 2.1: the left half has the largest power of two of leaves below their number. */
function rfcRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves
  if (first === undefined) return EMPTY_HASH
  if (leaves.length === 1) return first
  let half = 1
  while (half * 2 < leaves.length) half *= 2
  return digest(rfcRoot(leaves.slice(0, half)), rfcRoot(leaves.slice(half)))
}

describe('ledger: the tree of ordered transactions', () => {
  it('has the shape of RFC 6962, and proves every leaf of every size', () => {
    for (let count = 0; count <= 40; count++) {
      const ordered = orderedOf(count)
      const tree = new TransactionTree(ordered, scriptHashing)
      assert.equal(toHex(tree.root), toHex(rfcRoot(ordered.map(transactionLeaf))))
      for (const [leaf, transaction] of ordered.entries()) {
        const root = transactionsRootOf(transactionLeaf(transaction), count, tree.prove(leaf))
        assert.equal(toHex(root), toHex(tree.root))
      }
    }
  })

  it('refuses paths of another leaf, another length, another place or another number of leaves', () => {
    const ordered = orderedOf(13)
    const tree = new TransactionTree(ordered, scriptHashing)
    const shown = (at: number, count: number, path: { leaf: number; siblings: Uint8Array }, code?: string): boolean => {
      const transaction = ordered[at]
      assert.ok(transaction)
      const leaf = transactionLeaf(code === undefined ? transaction : { ...transaction, code })
      try {
        return toHex(transactionsRootOf(leaf, count, path)) === toHex(tree.root)
      } catch (error) {
        assert.ok(isPekkaError(error) && error.code === 'PROOF_INVALID')
        return false
      }
    }
    for (const at of [0, 5, 12]) {
      const path = tree.prove(at)
      assert.ok(shown(at, 13, path))
      assert.equal(shown(at, 13, path, 'ACCOUNT_UNKNOWN'), false)
      assert.equal(shown((at + 1) % 13, 13, path), false)
      for (const leaf of [at + 1, at ^ 1, 13, 2 ** 31]) assert.equal(shown(at, 13, { ...path, leaf }), false)
      for (const siblings of [
        path.siblings.slice(32),
        path.siblings.slice(0, -1),
        concat(path.siblings, new Uint8Array(32)),
        concat(path.siblings, path.siblings.slice(0, 32)),
        new Uint8Array(0)
      ]) {
        assert.equal(shown(at, 13, { ...path, siblings }), false)
      }
      for (const count of [0, 1, at]) assert.equal(shown(at, count, path), false)
    }
  })
})
