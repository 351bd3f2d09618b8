import type { Request, Response } from 'express'
import { z } from 'zod'
import { CBOR, PekkaError, decodeCbor, encodeCbor, fromBase64, fromHex, toJson } from '@pekka/node/protocol'

/** Answers in what the client asked for: CBOR unless it accepts JSON only. */
export function answer(request: Request, response: Response, status: number, value: unknown): void {
  response.status(status).setHeader('Cache-Control', 'no-store')
  if (request.accepts([CBOR, 'application/json']) === 'application/json') response.json(toJson(value))
  else response.type(CBOR).send(Buffer.from(encodeCbor(value)))
}

/**
 * The body of a request as the schema has it.
 * @throws PekkaError SCHEMA_MISMATCH, ENCODING_MALFORMED
 */
export function readBody<T>(request: Request, schema: z.ZodType<T>): T {
  const body: unknown = request.body
  // What express parsed is JSON; CBOR arrives as bytes.
  const value = Buffer.isBuffer(body) ? decodeCbor(body) : fromJson(body, schema)
  return parse(schema, value)
}

/** @throws PekkaError SCHEMA_MISMATCH */
export function parse<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new PekkaError('SCHEMA_MISMATCH', {
    // What is in the path has no name.
    issue: [issue?.path.join('.'), issue?.message].filter(Boolean).join(': ').slice(0, 300)
  })
}

/** JSON has no bytes: where the schema wants them, hexadecimal (32 bytes) or base64 text is read. */
function fromJson(value: unknown, schema: z.ZodType): unknown {
  if (schema instanceof z.ZodNullable) return value === null ? null : fromJson(value, inner(schema))
  if (schema instanceof z.ZodArray) {
    const element = schema.element
    return Array.isArray(value) && element instanceof z.ZodType ? value.map(item => fromJson(item, element)) : value
  }
  if (schema instanceof z.ZodObject) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    const shape: Record<string, unknown> = schema.shape
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => {
        const field = Object.hasOwn(shape, key) ? shape[key] : undefined
        return [key, field instanceof z.ZodType ? fromJson(item, field) : item]
      })
    )
  }
  return schema instanceof z.ZodCustom && typeof value === 'string' ? bytesFrom(value) : value
}

function inner(schema: z.ZodNullable): z.ZodType {
  const unwrapped: unknown = schema.unwrap()
  return unwrapped instanceof z.ZodType ? unwrapped : z.unknown()
}

function bytesFrom(text: string): Uint8Array | string {
  try {
    return /^[0-9a-f]{64}$/.test(text) ? fromHex(text) : fromBase64(text)
  } catch {
    return text
  }
}
