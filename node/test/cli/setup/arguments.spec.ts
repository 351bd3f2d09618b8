import assert from 'node:assert/strict'
import { commandOf, ownArguments } from '@pekka/node/setup/arguments'

describe('the words behind npm start', () => {
  it('are a command of their own when there is one: npm puts them behind "up"', () => {
    assert.deepEqual(commandOf(['up']), ['up'])
    assert.deepEqual(commandOf(['up', 'run', '--cap', '1', 'fit.py', 'up']), ['run', '--cap', '1', 'fit.py', 'up'])
    assert.deepEqual(commandOf(['up', 'doctor', '--json']), ['doctor', '--json'])
    assert.deepEqual(commandOf(['up', '--dir', 'notes']), ['up', '--dir', 'notes'])
    assert.deepEqual(commandOf([]), [])
  })

  it('are PEKKA’s before the file and the program’s behind it', () => {
    assert.deepEqual(ownArguments(['run', '-q', 'fit.py', '--json']), ['run', '-q', 'fit.py'].slice(0, 2))
    assert.deepEqual(ownArguments(['tasks', '--json']), ['tasks', '--json'])
  })
})
