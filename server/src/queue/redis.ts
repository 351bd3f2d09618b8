import { Redis } from 'ioredis'
import type { Logger } from 'pino'
import { PekkaError } from '@pekka/node/protocol'

/** Where Redis (or Valkey) is: a unix socket or a URL; one of them. */
export interface RedisAddress {
  path?: string
  url?: string
}

/** Pauses between tries to reach Redis, ms. */
const RETRY_MS = { first: 100, longest: 2_000 }

/**
 * A connection that comes back by itself; commands wait for that. (BullMQ's own first command fails for good where they
 * don't.) Who mustn't wait looks at `status` first.
 */
export function connectRedis(address: RedisAddress): Redis {
  const options = {
    maxRetriesPerRequest: null,
    retryStrategy: (times: number) => Math.min(RETRY_MS.longest, RETRY_MS.first * 2 ** Math.min(times, 10)),
    enableReadyCheck: true
  }
  if (address.path !== undefined) return new Redis(address.path, options)
  if (address.url !== undefined) return new Redis(address.url, options)
  throw new PekkaError('USAGE', { issue: 'The settings name no Redis (redis.path or redis.url).' })
}

/**
 * Looks at how Redis is set up: evicting keys loses jobs, and an open port without a password gives everything away (I5).
 * @throws PekkaError USAGE for an open one
 */
export async function checkRedis(redis: Redis, address: RedisAddress, log: Logger): Promise<void> {
  const policy = await readConfig(redis, 'maxmemory-policy')
  if (policy !== null && policy !== 'noeviction')
    log.warn({ policy }, 'Redis may evict jobs: set maxmemory-policy noeviction. Lost jobs are added again from disk.')
  if ((await readConfig(redis, 'appendonly')) === 'no')
    log.info('Redis keeps no append-only file; after a crash of it jobs are added again from disk.')
  if (address.path !== undefined) return
  const open = /(^|\s)(\*|0\.0\.0\.0|::)(\s|$)/.test((await readConfig(redis, 'bind')) ?? '')
  const guarded = new URL(address.url ?? '').password !== '' || (await readConfig(redis, 'protected-mode')) === 'yes'
  if (open && !guarded)
    throw new PekkaError('USAGE', {
      issue: 'Redis listens on all addresses without a password. Bind it to 127.0.0.1 or a unix socket, or set one.'
    })
}

async function readConfig(redis: Redis, name: string): Promise<string | null> {
  try {
    const answer: unknown = await redis.config('GET', name)
    const value: unknown = Array.isArray(answer) ? answer[1] : null
    return typeof value === 'string' ? value : null
  } catch {
    // A hosted Redis doesn't let its configuration be read.
    return null
  }
}
