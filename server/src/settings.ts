import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { MAX_INPUT_BYTES, PekkaError } from '@pekka/node/protocol'
import { QUARANTINE_DAYS } from './layers/constants.js'

/** All that one task may send ahead: what travels with it, its bundle, and what sealing adds. */
const LARGEST_TASK = 2.5 * 2 ** 30

const bytes = z.number().int().min(0)
const multiaddr = z.string().min(1).max(512)

/** The settings file of the bridge, JSON. */
export const settingsSchema = z.strictObject({
  /** Directory of everything it keeps. */
  home: z.string().min(1),
  /** The network's id, hexadecimal; when left out, the first witness that answers decides. */
  network: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  logLevel: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).optional(),
  /** Written once it serves, removed when it stops. */
  readyFile: z.string().optional(),
  http: z.strictObject({ host: z.string().default('127.0.0.1'), port: z.number().int().min(0).max(65535).default(0) }),
  libp2p: z.strictObject({
    listen: z.array(multiaddr).default(['/ip4/127.0.0.1/tcp/0']),
    announce: z.array(multiaddr).optional()
  }),
  redis: z.strictObject({ path: z.string().optional(), url: z.string().optional() }),
  witnesses: z.array(multiaddr).min(1),
  /** Origins of pages that may use the bridge beside its own, and names it is served under beside this machine's. */
  allowedOrigins: z.array(z.string()).default([]),
  allowedHosts: z.array(z.string()).default([]),
  /** PEM files; needed to listen beyond this machine. */
  tls: z.strictObject({ cert: z.string(), key: z.string() }).optional(),
  name: z.string().max(64).default('bridge'),
  /** Adding packages to images; left out: this bridge doesn't. Each of its fields has a default. */
  layers: z
    .strictObject({
      /** Path of uv; by default the one on PATH. */
      uv: z.string().optional(),
      /** Days that a release must be old, against uploads that are found to be malicious within days; 0: none. */
      quarantineDays: z.number().int().min(0).max(3650).default(QUARANTINE_DAYS),
      /** Bytes of packages that are kept. */
      maxBytes: bytes.optional()
    })
    .optional(),
  /** Fetching declared inputs; left out: this bridge fetches none. Each of its fields has a default. */
  inputs: z
    .strictObject({
      /** Servers that may be asked: `data.example.org`, `*.example.org`, or `*` for every public one. */
      allow: z.array(z.string().min(1)).default(['*']),
      /** `host:port` of servers in the own network that may be asked although they aren't public. */
      allowPrivate: z.array(z.string().regex(/:\d+$/)).default([]),
      /** PEM file of certificates beside the usual ones. */
      ca: z.string().optional(),
      /** Largest input, bytes. */
      maxInputBytes: bytes.default(MAX_INPUT_BYTES),
      /** Bytes of inputs that are kept. */
      maxBytes: bytes.optional()
    })
    .optional(),
  /** File with the signed list of the network's images, which clients ask for (docs/images.md). */
  images: z.string().optional(),
  /** Workers of the queue in this process. */
  workers: z.number().int().min(0).max(64).default(1),
  /** Disk space that stays free, bytes: below it no new task is taken, below half of it no output. */
  reserve: bytes.default(256 << 20),
  /** Bytes sent ahead of tasks that one account, and all together, may leave here: two and eight of the largest tasks. */
  uploads: z
    .strictObject({ perAccount: bytes.default(2 * LARGEST_TASK), total: bytes.default(8 * LARGEST_TASK) })
    .prefault({}),
  /** How long ended tasks are kept, ms. */
  retention: z
    .number()
    .int()
    .min(0)
    .default(30 * 86_400_000)
})
export type Settings = z.infer<typeof settingsSchema>

/** @throws PekkaError USAGE that names what is wrong */
export async function readSettings(path: string): Promise<Settings> {
  let content: unknown
  try {
    content = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw new PekkaError('USAGE', { issue: `The settings file ${path} cannot be read.` }, { cause })
  }
  return parseSettings(content)
}

/** @throws PekkaError USAGE */
export function parseSettings(content: unknown): Settings {
  const parsed = settingsSchema.safeParse(content)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new PekkaError('USAGE', { issue: `Settings: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}` })
  }
  const { http, tls } = parsed.data
  if (!isLoopbackName(http.host) && tls === undefined)
    throw new PekkaError('USAGE', {
      issue: `The bridge listens on ${http.host} only with a certificate (settings tls.cert and tls.key): tokens would cross the network in clear. Without one, use 127.0.0.1 and JupyterLab's proxy.`
    })
  return parsed.data
}

const isLoopbackName = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
