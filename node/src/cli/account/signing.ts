import { readFile, writeFile } from 'node:fs/promises'
import { readTransactionFile, writeTransactionFile, type Acted, type PartlySigned } from '../../core/client/index.js'
import { PekkaError, fromHex, shortId, toHex, transactionId, type Policy } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { openNetwork } from '../house/network.js'
import { WalletSocket } from '../task/wallet-socket.js'
import { transactionWords } from './words.js'

/** What commands have in common that need the owner's signature. */

/** Lets a command speak to this home's wallet, as its owner and with no delegate. */
export async function withWallet<T>(
  context: CliContext,
  work: (wallet: WalletSocket, bridge: string) => Promise<T>
): Promise<T> {
  const network = await openNetwork(context)
  try {
    return await work(new WalletSocket({ path: network.wallet.socket }), network.bridge)
  } finally {
    await network.close()
  }
}

/** A whole id or key. @throws PekkaError USAGE */
export function readId(text: string, what = 'an account'): Uint8Array {
  if (!/^[0-9a-f]{64}$/i.test(text)) {
    throw new PekkaError('USAGE', { issue: `Not ${what}: ${text}. It has 64 digits and letters a to f.` })
  }
  return fromHex(text.toLowerCase())
}

/** Tells what became of a transaction; one that others must sign goes into a file. */
export async function report(context: CliContext, acted: Acted, done: string, out?: string): Promise<void> {
  if (acted.status === 'applied') {
    if (context.json) context.result({ status: 'applied', transaction: toHex(acted.id) })
    else context.result(done)
    return
  }
  await writeFor(context, acted, out ?? `pekka-${shortId(transactionId(acted.transaction), 8)}.json`)
}

/** Writes a transaction for the next owner, and says who that may be. */
export async function writeFor(
  context: CliContext,
  partly: PartlySigned & { policy: Policy },
  file: string
): Promise<void> {
  const { policy, signatures } = partly
  await writeFile(file, writeTransactionFile(partly))
  const need = policy.threshold
  if (context.json) {
    context.result({ status: 'partial', file, signatures: signatures.length, threshold: need })
    return
  }
  context.result(file)
  context.say(`${signatures.length} of ${need} have signed.`)
  context.say(
    signatures.length < need
      ? `Give the file to another owner: pekka account sign ${file}`
      : `That is enough: pekka account submit ${file}`
  )
}

export async function readParts(files: readonly string[]): Promise<PartlySigned[]> {
  return await Promise.all(
    files.map(async file => {
      const text = await readFile(file, 'utf8').catch((cause: unknown) => {
        throw new PekkaError('USAGE', { issue: `The file can’t be read: ${file}.` }, { cause })
      })
      return readTransactionFile(text)
    })
  )
}

/** Where people read, or what stands in for it. */
interface StdErr {
  stderr: Pick<NodeJS.WritableStream, 'write'>
}

/** Says what must be read, with `-q` too. */
export const tell = ({ stderr }: StdErr, lines: readonly string[]): void => {
  for (const line of lines) stderr.write(`${line}\n`)
}

/** Shows what somebody is about to sign. */
export const show = (context: StdErr, { transaction }: PartlySigned): void =>
  tell(context, transactionWords(transaction))
