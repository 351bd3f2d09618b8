import assert from 'node:assert/strict'
import { addressesIn, agreedInputs } from '../../../src/cli/task/inputs.js'

const STARS = 'https://data.example.org/stars.csv'
const SECRET = 'https://data.example.org/x.csv?token=abc'
const nobody = (): Promise<null> => Promise.resolve(null)
const reads = addressesIn([
  `import pandas as pd\na = pd.read_csv('${STARS}')\nb = pd.read_csv('${SECRET}')\nc = pd.read_csv('http://a.example/y.csv')`
])

describe('pekka run: addresses that the code reads', () => {
  it('are fetched without being asked for by nobody, and it is said how', async () => {
    const { inputs, lines } = await agreedInputs(reads, { named: [], all: false, ask: nobody })
    assert.deepEqual(inputs, [])
    assert.match(lines.join('\n'), /--input 'https:\/\/data\.example\.org\/stars\.csv', or --with-inputs/)
  })

  it('are asked about on a terminal, and fetched only after a yes', async () => {
    const questions: string[] = []
    const answering = (answer: boolean) => (question: string) => {
      questions.push(question)
      return Promise.resolve(answer)
    }
    const no = await agreedInputs(reads, { named: [], all: false, ask: answering(false) })
    assert.deepEqual(no.inputs, [])
    const yes = await agreedInputs(reads, { named: [], all: false, ask: answering(true) })
    assert.deepEqual(yes.inputs, [{ url: STARS, path: 'inputs/stars.csv' }])
    assert.equal(questions.length, 2)
    for (const question of questions) {
      assert.ok(question.includes(STARS))
      assert.ok(!question.includes(SECRET))
    }
  })

  it('are left to --input where they look secret, and never fetched by http://, whatever is agreed to', async () => {
    const { inputs, lines } = await agreedInputs(reads, { named: [], all: true, ask: nobody })
    assert.deepEqual(
      inputs.map(({ url }) => url),
      [STARS]
    )
    assert.match(lines.join('\n'), /Line 3 reads .*looks like it holds a secret/)
    assert.match(lines.join('\n'), /Line 4 reads http:.*Only https:\/\/ is fetched/)
  })

  it('are not asked about again where --input names them, and take no place that it has', async () => {
    const named = [{ url: 'https://b.example/stars.csv', path: 'inputs/stars.csv' }]
    const { inputs } = await agreedInputs(reads, { named, all: true, ask: nobody })
    assert.deepEqual(
      inputs.map(({ path }) => path),
      ['inputs/stars.csv', 'inputs/stars.csv-2']
    )
    const again = await agreedInputs(addressesIn([`open_url = 1\nimport pandas as pd\npd.read_csv('${STARS}')`]), {
      named: [{ url: STARS, path: 'stars.csv' }],
      all: false,
      ask: () => Promise.reject(new Error('asked'))
    })
    assert.deepEqual(again, { inputs: [{ url: STARS, path: 'stars.csv' }], lines: [] })
  })
})
