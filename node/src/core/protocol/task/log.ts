import { z } from 'zod'
import { MAX_SEALED_FRAME, runHeaderSchema, signedHeadSchema } from './frames.js'
import { bytesUpTo, whole } from '../encoding/schema.js'

/**
 * The event log of a task, as the bridge keeps it and a client reads it: entries numbered from 0 over all attempts and
 * runs, append-only. A client resumes with the number it has.
 */
export const logEntrySchema = z.discriminatedUnion('kind', [
  z.strictObject({ n: whole, kind: z.literal('run'), header: runHeaderSchema }),
  z.strictObject({
    n: whole,
    kind: z.literal('frame'),
    attempt: whole,
    run: whole,
    index: whole,
    sealed: bytesUpTo(MAX_SEALED_FRAME)
  }),
  z.strictObject({ n: whole, kind: z.literal('head'), head: signedHeadSchema })
])
export type LogEntry = z.infer<typeof logEntrySchema>
