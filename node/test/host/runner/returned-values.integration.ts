import assert from 'node:assert/strict'
import { inUserKernel } from './user-kernel.js'

describe('values that come back into the user’s kernel', function () {
  this.timeout(120_000)
  let found: Record<string, unknown>

  before(async function () {
    found = await inUserKernel(this, 'returned-values.py', ['numpy', 'pandas', 'pyarrow'])
  })

  it('are given by pekka.get without a name being bound, and bound by %pekka get', () => {
    assert.equal(found['x'], true)
    assert.equal(found['bound'], false)
    assert.equal(found['magic'], true)
    assert.deepEqual(found['same'], [true, true, true, true, true])
    assert.deepEqual(found['left'], [0, 0])
  })

  it('are refused with a sentence where they are not what they say', () => {
    assert.match(String(found['bad']), /`bad` was refused: it is no array/)
    assert.match(String(found['worse']), /`worse` was refused: 'pickle' is no safe codec/)
    assert.match(String(found['nothing']), /`nothing` was refused: nothing of it has come/)
    assert.match(String(found['absent']), /No remote run has `absent`/)
  })

  it('stay as a handle that tells type, size, reason and a first look, cut and cleaned', () => {
    const handle = String(found['handle'])
    assert.match(handle, /^<model: Forest, 12\.3 MB, stayed there: it has no safe form>\na b cx+…$/)
    assert.ok(handle.length < 300)
    assert.deepEqual(found['names'], ['x', 'model', 'bad', 'worse', 'nothing'])
  })

  it('are answered by one page alone', () => {
    assert.deepEqual(found['claims'], [true, false, false])
  })

  it('come after the cell where the kernel can’t be answered while one runs', () => {
    assert.match(String(found['later']), /on its way, and will be there under its name when this cell has ended/)
    assert.equal(found['before'], false)
    assert.equal(found['after'], true)
  })

  it('come together where they are small, each refused by itself', () => {
    assert.deepEqual(found['together'], [null, 'the text is not UTF-8', 'this is no name for a value', null])
    assert.deepEqual(found['small'], [[1, 2], false, false, 'ä'])
    assert.match(String(found['short']), /^the sizes of what has come are not those that were said,/)
    assert.deepEqual(found['halves'], [...Array<string>(5).fill('it is not JSON'), null])
  })

  it('are refused unread where their bytes aren’t those that the machine has named', () => {
    const other = 'its bytes are not those that the machine has named'
    assert.deepEqual(found['named'], [null, [1, 2]])
    assert.deepEqual(found['other'], [other, [1, 2]])
    assert.deepEqual(found['settled'], [`\`named\` was refused: ${other}.`, [1, 2]])
  })

  it('are what the codecs make of them where they are small and plain, and so read and written in a shorter way', () => {
    assert.deepEqual(found['plain'], [[], true, 13, Array<boolean>(9).fill(true)])
  })

  it('are read by a process that is started ahead, once, and again where it waited for too long', () => {
    const read = [null, [0, 1, 2, 3, 4], true, true]
    assert.deepEqual(found['ahead'], [read, read, [0, 1, 2, 3, 4], [1, 2], true])
  })

  it('are the same where they are large: by a file, by groups of columns, straight into their place', () => {
    assert.deepEqual(found['large'], [...Array<string>(6).fill('mmap'), true, true, true])
  })

  it('are looked at up to as many as may travel, of a million names', () => {
    assert.deepEqual(found['many'], [10_000, 990_000, 'many0', 'json'])
  })

  it('of the user’s own go out, too: what contains itself as a copy, what can’t be shown without being shown', () => {
    assert.equal(found['circle'], true)
    const [loop, odd] = found['odd'] as unknown[][] // our own script's
    assert.deepEqual(loop, ['loop', 'pickle', 'list of 2', null])
    assert.deepEqual(odd?.slice(0, 1).concat(odd[2]), ['odd', 'list of 1'])
  })

  it('are never bound to names of IPython, of Python, or to hidden ones', () => {
    for (const name of ['_hidden', 'get_ipython', 'a b']) assert.match(String(found[name]), /is no name of a value/)
    assert.deepEqual(found['namespace'], [7, false, true, false])
  })
})
