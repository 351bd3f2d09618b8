import { z } from 'zod'
import { CBOR, ERRORS, bytes16, bytes32, bytes64, credits } from '@pekka/node/protocol'
import { PATH_PARAMETERS, type PathParameter, type Route } from './route.js'

type JsonSchema = Record<string, unknown>

const HEX32: JsonSchema = { type: 'string', pattern: '^[0-9a-f]{64}$', description: '32 bytes; a byte string in CBOR' }
const BASE64: JsonSchema = { type: 'string', contentEncoding: 'base64', description: 'bytes; a byte string in CBOR' }
const CREDITS: JsonSchema = {
  type: 'string',
  pattern: '^(0|[1-9][0-9]*)$',
  description: 'micro-credits; an integer in CBOR'
}

/** JSON schema of one of our schemas, in its JSON form: bytes and money have none of their own. */
function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  return z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema: out }) => {
      const replacement = replacementOf(zodSchema)
      if (replacement === null) return
      for (const key of Object.keys(out)) delete out[key as keyof typeof out]
      Object.assign(out, replacement)
    }
  }) as JsonSchema
}

function replacementOf(schema: unknown): JsonSchema | null {
  if (schema === bytes32) return HEX32
  if (schema === bytes16 || schema === bytes64) return BASE64
  if (schema === credits) return CREDITS
  if (schema instanceof z.ZodBigInt) return CREDITS
  if (schema instanceof z.ZodCustom) return BASE64
  return null
}

const content = (schema: JsonSchema): JsonSchema => ({ 'application/json': { schema }, [CBOR]: { schema } })

const PROBLEM: JsonSchema = {
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail', 'data'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: { type: 'string', enum: Object.keys(ERRORS) },
    detail: { type: 'string' },
    data: { type: 'object' }
  }
}

/** The API description, made of the same schemas that check requests. */
export function describeApi(routes: Route[], version: string): JsonSchema {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'PEKKA bridge',
      version,
      description:
        'CBOR (dag-cbor) or JSON by Accept and Content-Type. Errors are RFC 9457 problem documents. A token is sent as ' +
        '"Authorization: Bearer" or, where a proxy uses that header itself, as "X-Pekka-Token".',
      license: { name: 'BSD-3-Clause', identifier: 'BSD-3-Clause' }
    },
    paths,
    components: {
      schemas: { Problem: PROBLEM },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        header: { type: 'apiKey', in: 'header', name: 'X-Pekka-Token' }
      }
    }
  }
}

function operation(route: Route): JsonSchema {
  const success =
    route.answer === undefined
      ? { description: 'Done' }
      : { description: 'The answer', content: content(jsonSchema(route.answer, 'output')) }
  const blob =
    route.method === 'put' ? { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } } : null
  const body = route.body === undefined ? blob : content(jsonSchema(route.body, 'input'))
  return {
    summary: route.summary,
    security: route.auth === 'none' ? [] : [{ bearer: [] }, { header: [] }],
    parameters: [...pathParameters(route.path), ...queryParameters(route.query)],
    ...(body === null ? {} : { requestBody: { required: true, content: body } }),
    responses: {
      [route.status ?? 200]: success,
      default: {
        description: 'A problem',
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } }
      }
    }
  }
}

function pathParameters(path: string): JsonSchema[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    // Only names of the table stand in paths (route.ts).
    schema: { type: 'string', description: PATH_PARAMETERS[name as PathParameter].description }
  }))
}

function queryParameters(query: z.ZodType | undefined): JsonSchema[] {
  if (!(query instanceof z.ZodObject)) return []
  const shape: Record<string, unknown> = query.shape
  return Object.entries(shape).map(([name, schema]) => ({
    name,
    in: 'query',
    required: schema instanceof z.ZodType && !schema.safeParse(undefined).success,
    schema: schema instanceof z.ZodType ? jsonSchema(schema, 'input') : {}
  }))
}
