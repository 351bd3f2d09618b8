import assert from 'node:assert/strict'
import { summary } from '@pekka/node/setup/doctor'

describe('the last line of pekka doctor', () => {
  const sandbox = { state: 'ok', part: 'sandbox', detail: 'bubblewrap, isolation 2 of 4' } as const
  const broken = (part: string) => ({ state: 'FAIL', part, detail: 'not installed' }) as const

  it('says whether tasks run now, and how well they are shut in', () => {
    assert.equal(summary([sandbox]), 'All is there. Tasks run now, with isolation 2 of 4.')
    const warning = { state: 'warn', part: 'docker', detail: 'no Docker Engine answers' } as const
    assert.equal(summary([sandbox, warning]), 'All is there. Tasks run now, with isolation 2 of 4.')
  })

  it('tells what notebooks need apart from what tasks need', () => {
    assert.equal(summary([sandbox, broken('extension')]), '1 to fix. Tasks run now, with isolation 2 of 4.')
    assert.equal(summary([sandbox, broken('environment base')]), "1 to fix. Tasks can't run yet.")
    assert.equal(summary([broken('bubblewrap'), broken('sandbox')]), "2 to fix. Tasks can't run yet.")
  })
})
