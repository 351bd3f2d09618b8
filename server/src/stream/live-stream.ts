import type { Server as HttpServer } from 'node:http'
import type { Logger } from 'pino'
import { Server, type Socket } from 'socket.io'
import type { z } from 'zod'
import {
  ACK_WINDOW_BYTES,
  PekkaError,
  SOCKET_PATH,
  ackSchema,
  asPekkaError,
  followLedgerSchema,
  isPekkaError,
  subscribeSchema,
  toHex,
  unsubscribeSchema,
  type AccountView,
  type ClientToServerEvents,
  type LedgerAccess,
  type ServerToClientEvents,
  type TaskItem
} from '@pekka/node/protocol'
import {
  accountFor,
  owns,
  type AnswerLedgerQuery,
  type Grant,
  type Guard,
  type RequestLimit,
  type Tokens
} from '../api/index.js'
import type { EventLog } from '../eventlog/index.js'
import type { LedgerFeed, LedgerMirror } from '../ledger/index.js'
import type { ReaderGate } from '../links/index.js'
import type { Metrics } from '../metrics.js'
import type { TaskDriver } from '../queue/index.js'
import { toItem, type TaskRecord, type TaskStore } from '../tasks/index.js'
import {
  ACCOUNT_PAUSE_MS,
  MAX_INCOMING_BYTES,
  MAX_SUBSCRIPTIONS,
  PING_INTERVAL_MS,
  PING_TIMEOUT_MS
} from './constants.js'
import { LedgerQueries } from './ledger-query.js'
import { LedgerTail } from './ledger-tail.js'
import { pack, packEntries, unpack } from './packing.js'
import { Subscription } from './subscription.js'
import { UnseenAccounts } from './unseen-accounts.js'

export interface LiveStreamComponents {
  guard: Guard
  limit: RequestLimit
  /** Pages of the ledger, as its HTTP routes give them. */
  query: AnswerLedgerQuery
  tokens: Tokens
  store: TaskStore
  logs: EventLog
  gate: ReaderGate
  driver: TaskDriver
  mirror: LedgerMirror
  feed: LedgerFeed
  ledger: LedgerAccess
  metrics: Metrics
  log: Logger
}

interface SocketData {
  grant: Grant
  subscriptions: Map<string, Subscription>
  /** The request under way for each task: only the newest becomes a subscription. */
  asked: Map<string, symbol>
  /** The ledger's transactions, where it follows them. */
  tail: LedgerTail | null
}
type ClientSocket = Socket<ClientToServerEvents, ServerToClientEvents, Record<string, never>, SocketData>

/** Rooms are named by the server, from the token, and by nobody else (I1). */
const laneRoom = (account: Uint8Array, lane: Uint8Array): string => `lane:${toHex(account)}:${toHex(lane)}`
const ownerRoom = (account: Uint8Array): string => `owner:${toHex(account)}`

/** The live stream over socket.io (core/protocol/wire/socket.ts). */
export class LiveStream {
  readonly #io: Server<ClientToServerEvents, ServerToClientEvents, Record<string, never>, SocketData>
  /** Accounts to be told of, and whether they changed again while they were read. */
  readonly #accounts = new Map<string, 'reading' | 'changed'>()
  readonly #unseen: UnseenAccounts

  constructor(
    server: HttpServer,
    private readonly components: LiveStreamComponents
  ) {
    const { guard, driver, mirror, tokens } = components
    this.#unseen = new UnseenAccounts(components)
    this.#io = new Server(server, {
      path: SOCKET_PATH,
      serveClient: false,
      transports: ['websocket', 'polling'],
      allowUpgrades: true,
      perMessageDeflate: false,
      httpCompression: false,
      maxHttpBufferSize: MAX_INCOMING_BYTES,
      pingInterval: PING_INTERVAL_MS,
      pingTimeout: PING_TIMEOUT_MS,
      // No connectionStateRecovery: a stolen session id would resume without its token (I2). Clients resume by number.
      allowRequest: (request, decide) => {
        try {
          guard.check(request)
          decide(null, true)
        } catch (error) {
          decide(asPekkaError(error).code, false)
        }
      },
      cors: {
        origin: (origin, decide) => decide(null, origin !== undefined && guard.allowsOrigin(origin, undefined))
      }
    })
    this.#io.engine.on('connection_error', (error: { message?: string }) =>
      components.log.debug({ reason: error.message }, 'a live connection was refused')
    )
    this.#io.use((socket, next) => {
      try {
        const token: unknown = socket.handshake.auth['token']
        const grant = tokens.check(typeof token === 'string' ? token : undefined)
        socket.data = { grant, subscriptions: new Map(), asked: new Map(), tail: null }
        next()
      } catch (error) {
        next(Object.assign(new Error(asPekkaError(error).code), { data: asPekkaError(error).toProblem() }))
      }
    })
    this.#io.on('connection', socket => this.#welcome(socket))
    driver.onChange(record => void this.#taskChanged(record))
    mirror.on('accounts', accounts => {
      for (const account of accounts) this.#accountChanged(account)
    })
    // Changes from before, of a time without this process or without the ledger, are told of by nobody.
    mirror.on('connected', () => this.#unseen.look(tokens.accounts()))
    tokens.onEnd(grant => this.#io.in(roomOf(grant)).disconnectSockets(true))
  }

  async stop(): Promise<void> {
    this.#unseen.stop()
    await this.#io.close()
  }

  #welcome(socket: ClientSocket): void {
    const { grant, subscriptions } = socket.data
    void socket.join(roomOf(grant))
    this.components.metrics.sockets.set(this.#io.engine.clientsCount)
    socket.on('error', error => this.components.log.debug({ err: error }, 'a live connection failed'))
    socket.on('disconnect', () => {
      for (const subscription of subscriptions.values()) subscription.end()
      socket.data.tail?.end()
      this.components.metrics.subscriptions.dec(subscriptions.size)
      subscriptions.clear()
      this.components.metrics.sockets.set(this.#io.engine.clientsCount)
    })
    socket.on('subscribe', (packed, answer) => {
      if (typeof answer !== 'function') return
      this.#subscribe(socket, packed).then(
        item => answer(pack({ ok: true, item })),
        error => {
          const { code, data } = asPekkaError(error).toProblem()
          answer(pack({ ok: false, code, data }))
        }
      )
    })
    socket.on('unsubscribe', packed => {
      const request = unpack(unsubscribeSchema, packed)
      if (request !== null) this.#unsubscribe(socket, request.task)
    })
    socket.on('follow-ledger', (packed, answer) => {
      if (typeof answer !== 'function') return
      try {
        answer(pack({ ok: true, after: this.#followLedger(socket, packed) }))
      } catch (error) {
        const { code, data } = asPekkaError(error).toProblem()
        answer(pack({ ok: false, code, data }))
      }
    })
    socket.on('unfollow-ledger', () => socket.data.tail?.end())
    const queries = this.#queries(socket)
    socket.on('query-ledger', (packed, answer) => {
      if (typeof answer !== 'function') return
      queries.answer(packed).then(
        found => answer(pack({ ok: true, answer: found })),
        error => {
          if (!isPekkaError(error)) this.components.log.error({ err: error }, 'a question about the ledger failed')
          const { code, data } = asPekkaError(error).toProblem()
          answer(pack({ ok: false, code, data }))
        }
      )
    })
    socket.on('ack', packed => {
      const request = unpack(ackSchema, packed)
      if (request !== null) subscriptions.get(toHex(request.task))?.acknowledge(request.n)
    })
  }

  #queries(socket: ClientSocket): LedgerQueries {
    const { query, limit, tokens } = this.components
    const token: unknown = socket.handshake.auth['token']
    // The token may have ended since the connection began.
    const check = (): void => void tokens.check(typeof token === 'string' ? token : undefined)
    return new LedgerQueries({ answer: query, limit, check }, socket.handshake.address)
  }

  /** Public: any token follows the ledger, as anybody may at a witness. */
  #followLedger(socket: ClientSocket, packed: unknown): number {
    const request = unpack(followLedgerSchema, packed)
    if (request === null) throw new PekkaError('SCHEMA_MISMATCH', { issue: 'follow-ledger {after, account, task}' })
    const { feed, log } = this.components
    // "From now on" has no place before the ledger was first seen: it would be the whole past.
    if (request.after === null && feed.last < 0) throw new PekkaError('LEDGER_UNREACHABLE')
    socket.data.tail?.end()
    const drop = (reason: string): void => {
      log.info({ reason }, 'a reader of the ledger was disconnected')
      socket.disconnect(true)
    }
    const tail = new LedgerTail({ socket, feed, log, drop }, request)
    socket.data.tail = tail
    // After the answer, which the client waits for before it takes batches.
    setImmediate(() => void tail.run())
    return tail.after
  }

  async #subscribe(socket: ClientSocket, packed: unknown): Promise<TaskItem> {
    const request = unpack(subscribeSchema, packed)
    if (request === null) throw new PekkaError('SCHEMA_MISMATCH', { issue: 'subscribe {task, after}' })
    const { subscriptions, asked } = socket.data
    const name = toHex(request.task)
    this.#unsubscribe(socket, request.task)
    if (subscriptions.size + asked.size >= MAX_SUBSCRIPTIONS) throw new PekkaError('RATE_LIMITED')
    const mine = Symbol(name)
    const isNewest = (): boolean => socket.connected && asked.get(name) === mine
    asked.set(name, mine)
    try {
      return await this.#begin(socket, request, isNewest)
    } catch (error) {
      if (asked.get(name) === mine) asked.delete(name)
      throw error
    }
  }

  /** `isNewest`: neither another request for the task nor its end came in between. */
  async #begin(
    socket: ClientSocket,
    { task, after }: z.infer<typeof subscribeSchema>,
    isNewest: () => boolean
  ): Promise<TaskItem> {
    const { store, logs, gate, metrics } = this.components
    const { grant, subscriptions, asked } = socket.data
    const record = await store.get(task)
    if (record === null || !owns(grant, record)) throw new PekkaError('TASK_UNKNOWN')
    const { log, release } = await logs.acquire(task)
    // As it is now: a change that was told while the log was opened must not be taken back by the answer.
    const item = toItem((await store.get(task)) ?? record, log.end)
    if (!isNewest()) {
      release()
      throw new PekkaError('LINK_CLOSED')
    }
    // After the answer, which the client waits for before it takes entries.
    setImmediate(() => {
      if (!isNewest()) return release()
      asked.delete(toHex(task))
      const subscription = new Subscription(task, after, {
        log,
        release,
        gate,
        send: entries => socket.emit('entries', packEntries(task, entries)),
        stalled: () => this.#drop(socket, task, 'it kept a provider waiting'),
        failed: error => {
          this.components.log.error({ err: error }, 'a log could not be read')
          this.#drop(socket, task, 'its log could not be read')
        }
      })
      // A log that has failed ends the connection at once.
      if (!socket.connected) return subscription.end()
      metrics.subscriptions.inc()
      subscriptions.set(toHex(task), subscription)
    })
    return item
  }

  #unsubscribe(socket: ClientSocket, task: Uint8Array): void {
    const { subscriptions, asked } = socket.data
    asked.delete(toHex(task))
    const subscription = subscriptions.get(toHex(task))
    if (subscription === undefined) return
    subscription.end()
    subscriptions.delete(toHex(task))
    this.components.metrics.subscriptions.dec()
  }

  /** A client that is cut off comes back and goes on by number. */
  #drop(socket: ClientSocket, task: Uint8Array, reason: string): void {
    this.components.log.info({ task: toHex(task), reason, window: ACK_WINDOW_BYTES }, 'a reader was disconnected')
    socket.disconnect(true)
  }

  async #taskChanged(record: TaskRecord): Promise<void> {
    const rooms = [laneRoom(record.account, record.lane), ownerRoom(record.account)]
    if (!rooms.some(room => this.#hasSockets(room))) return
    try {
      const { logs, store } = this.components
      const entries = await logs.end(record.task)
      // As it is now: of two changes the later may have been told while the log was looked at for this one.
      this.#io.to(rooms).emit('task', pack(toItem((await store.get(record.task)) ?? record, entries)))
    } catch (error) {
      this.components.log.warn({ err: error }, 'a change of a task could not be told')
    }
  }

  /** Reads an account once for however many changes, and tells its lanes what is theirs. */
  #accountChanged(account: Uint8Array): void {
    const name = toHex(account)
    if (this.#accounts.has(name)) {
      this.#accounts.set(name, 'changed')
      return
    }
    if (!this.components.tokens.holds(account)) return
    this.#accounts.set(name, 'reading')
    this.components.ledger
      .account(account)
      .then(view => {
        if (view === null) return
        this.components.tokens.recheck(view)
        this.#tellAccount(view)
      })
      .catch(error => {
        this.components.log.debug({ err: error }, 'an account could not be read')
        this.#unseen.look([account])
      })
      .finally(() => {
        // A busy account changes hundreds of times a second; nobody reads that fast.
        setTimeout(() => {
          const again = this.#accounts.get(name) === 'changed'
          this.#accounts.delete(name)
          if (again) this.#accountChanged(account)
        }, ACCOUNT_PAUSE_MS).unref()
      })
  }

  #tellAccount(view: AccountView): void {
    const owner = ownerRoom(view.account)
    if (this.#hasSockets(owner)) this.#io.to(owner).emit('account', pack(view))
    for (const { key } of view.lanes) {
      if (key === null) continue
      const room = laneRoom(view.account, key)
      if (this.#hasSockets(room)) this.#io.to(room).emit('account', pack(accountFor(view, key)))
    }
  }

  #hasSockets(room: string): boolean {
    return (this.#io.sockets.adapter.rooms.get(room)?.size ?? 0) > 0
  }
}

const roomOf = ({ account, lane }: Grant): string => (lane === null ? ownerRoom(account) : laneRoom(account, lane))
