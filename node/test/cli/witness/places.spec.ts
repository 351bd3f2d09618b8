import assert from 'node:assert/strict'
import { fromProblem } from '@pekka/node/protocol'
import { exitCodeOf } from '../../../src/cli/exit-codes.js'
import { multiaddrOf, readEndpoint, readWitnessAddress } from '../../../src/cli/witness/places.js'
import { StartNews, troubleWords } from '../../../src/cli/witness/start-news.js'

const PEER = '12D3KooWDfynUYRJfbF6Qf856RpJXQ55y3YKXXodN4VLsnGRLLeg'

describe('where a witness listens', () => {
  it('is read from an address and a port, in any of three ways', () => {
    for (const [text, address] of [
      ['192.0.2.1:7100', '/ip4/192.0.2.1/tcp/7100'],
      ['[2001:db8::1]:7100', '/ip6/2001:db8::1/tcp/7100'],
      ['/ip4/0.0.0.0/tcp/7100', '/ip4/0.0.0.0/tcp/7100'],
      ['/ip6/::/tcp/7100', '/ip6/::/tcp/7100']
    ] as const) {
      assert.equal(multiaddrOf(readEndpoint(text)), address)
    }
    for (const text of ['7100', 'example.org:7100', '192.0.2.1', '192.0.2.1:0', '192.0.2.1:70000', '300.1.1.1:80']) {
      assert.throws(() => readEndpoint(text), { code: 'USAGE' }, text)
    }
  })

  it('is told with its peer id; without, the address is refused with an example', () => {
    assert.equal(
      readWitnessAddress(`/ip4/192.0.2.1/tcp/7100/p2p/${PEER}`, '--join'),
      `/ip4/192.0.2.1/tcp/7100/p2p/${PEER}`
    )
    for (const text of ['192.0.2.1:7100', '/ip4/192.0.2.1/tcp/7100', `/ip4/192.0.2.1/udp/7100/p2p/${PEER}`]) {
      assert.throws(() => readWitnessAddress(text, '--join'), { code: 'USAGE', message: /^--join .* is no address/ })
    }
  })
})

describe('what a witness says while it starts', () => {
  const started = (): { news: StartNews; said: string[]; results: (string | object)[] } => {
    const said: string[] = []
    const results: (string | object)[] = []
    const context = {
      json: false,
      say: (line: string) => void said.push(line),
      result: (what: string | object) => void results.push(what)
    }
    return {
      said,
      results,
      news: new StartNews(context, { network: 'ab'.repeat(32), folder: '/w', log: '/w/log', others: 0 })
    }
  }

  it('is each thing once: who is missing, whom it can’t reach, that others are of another network', () => {
    const { news, said } = started()
    for (let i = 0; i < 3; i++) {
      news.hear({ waiting: { commit: -1, here: 1, of: 3 } })
      news.hear({ trouble: { address: '/ip4/192.0.2.1/tcp/1/p2p/x', code: 'NETWORK_MISMATCH' } })
      news.hear({ trouble: { address: '/ip4/192.0.2.1/tcp/1/p2p/x', code: 'PEER_UNREACHABLE' } })
    }
    assert.equal(said.length, 4)
    assert.match(said[0] ?? '', /1 of 3 witnesses are here/)
    assert.match(said[1] ?? '', /knows no other witness.*--join/)
    assert.match(said[2] ?? '', /another network: its genesis is another one/)
    assert.match(said[3] ?? '', /Nothing answers at/)
  })

  it('is its address once it serves, and without a seat how to get one', () => {
    const { news, said, results } = started()
    news.hear({ ready: true, pid: 1, addresses: ['/ip4/192.0.2.1/tcp/1/p2p/x'], seat: false })
    assert.deepEqual(results, ['Serves at  /ip4/192.0.2.1/tcp/1/p2p/x'])
    assert.match(said[0] ?? '', /no seat.*pekka witness stake/)
  })

  it('is why it could not be started; what no process says is passed over', () => {
    const { news } = started()
    news.hear('nonsense')
    news.hear({ failed: { code: 'STATE_LOCKED', data: { path: '/w' } } })
    assert.equal(news.failure?.code, 'STATE_LOCKED')
  })

  it('is, where it has fallen behind for good while it ran, that somebody must start it again', () => {
    const { news } = started()
    news.hear({ ready: true, pid: 1, addresses: [], seat: true })
    news.hear({ failed: { code: 'LEDGER_BEHIND', data: { last: 640, told: 812 } } })
    assert.ok(news.failure !== null)
    const error = fromProblem(news.failure)
    assert.match(error.message, /at commit 812, this one is at 640/)
    assert.match(error.advice, /^Start it again/)
    // A supervisor that looks for failures does.
    assert.notEqual(exitCodeOf(error.code), 0)
  })

  it('names what to do for each trouble', () => {
    for (const code of ['NETWORK_MISMATCH', 'LINK_PROTOCOL', 'PEER_UNREACHABLE'])
      assert.match(troubleWords({ address: 'a', code }), /Compare the files|tried again/)
  })
})
