import { FILE_CONCURRENCY } from './constants.js'

/** Does `work` for each item, some at a time. Rejects with the first failure once none is under way any more. */
export async function eachOf<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0
  let failed = false
  const worker = async (): Promise<void> => {
    while (!failed && next < items.length) {
      const item = items[next++]
      if (item === undefined) continue
      try {
        await work(item)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: FILE_CONCURRENCY }, worker))
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}
