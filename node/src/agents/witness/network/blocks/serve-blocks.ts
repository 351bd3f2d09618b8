import { toHex } from '@pekka/node/protocol'
import type { BlockKeeper } from './block-keeper.js'
import { ANSWER_BYTES } from '../constants.js'
import type { WitnessMessage } from '../messages.js'

type Question = Extract<WitnessMessage, { type: 'fetch' | 'fetch-rounds' }>
type Answer = Extract<WitnessMessage, { type: 'blocks' }>

/** Answers a peer's question for blocks, in parts; the next part is read when the one before is on its way. */
export async function serveBlocks(
  keeper: BlockKeeper,
  question: Question,
  send: (answer: Answer) => Promise<void>
): Promise<void> {
  const answer = question.type === 'fetch-rounds'
  let blocks: Uint8Array[] = []
  let bytes = 0
  for await (const block of found(keeper, question)) {
    if (blocks.length > 0 && bytes + block.length > ANSWER_BYTES) {
      await send({ type: 'blocks', blocks, answer })
      blocks = []
      bytes = 0
    }
    blocks.push(block)
    bytes += block.length
  }
  // Who has nothing of those rounds says so: then another one is asked.
  if (blocks.length > 0 || answer) await send({ type: 'blocks', blocks, answer })
}

async function* found(keeper: BlockKeeper, question: Question): AsyncGenerator<Uint8Array> {
  if (question.type === 'fetch-rounds') return yield* keeper.rounds(question.epoch, question.from, question.count)
  for (const key of question.keys) {
    const block = await keeper.block(toHex(key))
    if (block !== null) yield block
  }
}
