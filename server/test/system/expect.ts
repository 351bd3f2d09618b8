import assert from 'node:assert/strict'
import type { Run, TestNetwork } from '../../../node/test/support/network.js'

/** What a run must have come to. */
export interface Expected {
  exit: number
  /** What PEKKA says, word for word, in this order; the last line may go on with time and price. */
  says: (string | RegExp)[]
  /** The state on the ledger; null where nothing was sent. */
  state?: string | null
  /** The reason beside it. */
  reason?: string
  /** What the client pays: nothing, for the seconds it ran, or a fixed amount of micro-credits. */
  pays: 'nothing' | 'its seconds' | bigint
}

/** Checks words, exit code, state and money of a run, and that nothing of it runs any more. */
export async function expectRun(network: TestNetwork, run: Run, expected: Expected): Promise<void> {
  const told = `exit ${run.code}\n${run.stderr}`
  for (const words of expected.says)
    assert.ok(
      typeof words === 'string' ? run.stderr.includes(words) : words.test(run.stderr),
      `${words} isn't said; ${told}`
    )
  assert.equal(run.code, expected.exit, told)
  expectMoney(run, expected)
  const { locked } = await network.account()
  assert.equal(locked, 0n, 'credits are still on hold')
  await network.quiet()
}

function expectMoney({ item, before, after }: Run, expected: Expected): void {
  const view = item?.view ?? null
  if (expected.state === null) assert.equal(view, null, 'a task stands on the ledger')
  if (expected.state !== undefined && expected.state !== null) assert.equal(view?.state, expected.state)
  if (expected.reason !== undefined) assert.equal(view?.reason, expected.reason)
  const paid = view?.paid ?? 0n
  if (view !== null) {
    // per task lock = pay + refund (levy and storage deposit are 0 in this network)
    assert.equal(view.paid + view.refunded, view.offer.cap)
    assert.ok(view.attempts.filter(({ ended }) => ended === 'committed').length <= 1)
  }
  assert.equal(before - after, paid, 'the account changed by something else than the pay')
  if (expected.pays === 'nothing') assert.equal(paid, 0n)
  else if (expected.pays === 'its seconds') assert.ok(paid > 0n)
  else assert.equal(paid, expected.pays)
}
