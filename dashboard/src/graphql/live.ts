import type { TadaDocumentNode } from 'gql.tada'
import { type Client, createClient } from 'graphql-ws'
import { textOf } from './client'
import { fromGraphQL } from './errors'

/** Whether news arrive. */
export interface Connection {
  state: 'idle' | 'connecting' | 'open' | 'down'
  /** When the last change was, in milliseconds. */
  since: number
  /** When the next try is due; null while none is. */
  nextTry: number | null
  /** Since when nothing arrives; null while all is well. */
  lost: number | null
}

const FIRST_WAIT = 500
const LONGEST_WAIT = 15_000

/** How long to wait before try `attempt` (0, 1, 2 …); `spread` is 0..1, so that a team does not come back in one instant. */
export function backoff(attempt: number, spread: number): number {
  return Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempt) * (0.75 + spread / 2)
}

let connection: Connection = { state: 'idle', since: Date.now(), nextTry: null, lost: null }
const listeners = new Set<() => void>()
const returned = new Set<() => void>()
let wasDown = false

function set(state: Connection['state'], nextTry: number | null = null) {
  if (connection.state === state && connection.nextTry === nextTry) return
  const since = connection.state === state ? connection.since : Date.now()
  const lost = state === 'open' ? null : (connection.lost ?? (state === 'down' ? Date.now() : null))
  connection = { state, since, nextTry, lost }
  for (const listener of listeners) listener()
}

export const connectionStore = {
  get: () => connection,
  subscribe: (listener: () => void) => {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  },
}

/** Calls `listener` whenever the connection is back after it was lost: what was read before may be stale. */
export function onReturn(listener: () => void): () => void {
  returned.add(listener)
  return () => void returned.delete(listener)
}

let client: Client | undefined
/** How often a connection came to be. */
let connections = 0
const impatient = new Set<() => void>()

/** Ends all waiting: the person asked, or the browser says that it is online again. */
export function tryNow() {
  for (const go of impatient) go()
}

/** Where subscriptions are asked for. */
export function socketUrl(): string {
  const url = new URL('/graphql/ws', window.location.href)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}

function theClient(): Client {
  if (client) return client
  window.addEventListener('online', tryNow)
  document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && tryNow())
  // Not a polite close: its answer would have to come over the network that is gone, and until then all looks well.
  const giveUp = () => client?.terminate()
  window.addEventListener('offline', giveUp)
  let overdue: number | undefined
  client = createClient({
    url: socketUrl(),
    // The library would repeat a subscription with its first variables; ours go on from the last number that was seen.
    retryAttempts: 0,
    lazyCloseTimeout: 2_000,
    keepAlive: 10_000,
    on: {
      connecting: () => set('connecting'),
      connected: () => {
        connections += 1
        set('open')
        if (wasDown) for (const listener of returned) listener()
        wasDown = false
      },
      // A connection that died without a goodbye says nothing for ever: no pong in 5 s ends it.
      ping: (received) => {
        if (!received) overdue = window.setTimeout(giveUp, 5_000)
      },
      pong: (received) => {
        if (received) window.clearTimeout(overdue)
      },
      closed: () => window.clearTimeout(overdue),
    },
  })
  return client
}

function wait(milliseconds: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      window.clearTimeout(timer)
      impatient.delete(done)
      ended.removeEventListener('abort', done)
      resolve()
    }
    const timer = window.setTimeout(done, milliseconds)
    impatient.add(done)
    ended.addEventListener('abort', done)
  })
}

interface Live<Result, Variables> {
  document: TadaDocumentNode<Result, Variables, unknown>
  /** Asked anew for each connection, so that it goes on where it was. */
  variables: () => Variables
  next: (data: Result) => void
  /** The server refused; no further try is made. */
  refused?: (error: Error) => void
}

/** Keeps a subscription alive until the returned function is called. */
export function subscribe<Result, Variables>(live: Live<Result, Variables>): () => void {
  const ended = new AbortController()
  const once = () =>
    new Promise<'again' | 'refused'>((resolve) => {
      const stop = theClient().subscribe(
        { query: textOf(live.document as never), variables: live.variables() as Record<string, unknown> },
        {
          next: (message) => {
            if (message.errors?.length) {
              live.refused?.(fromGraphQL(message.errors as never))
              resolve('refused')
            } else live.next(message.data as Result)
          },
          error: (error) => {
            // A list comes from the server, which understood and refused; anything else is a lost connection.
            if (Array.isArray(error)) {
              live.refused?.(fromGraphQL(error as never))
              resolve('refused')
            } else resolve('again')
          },
          complete: () => resolve('again'),
        },
      )
      ended.signal.addEventListener('abort', () => {
        stop()
        resolve('refused')
      })
    })
  void (async () => {
    let tries = 0
    while (!ended.signal.aborted) {
      const before = connections
      if ((await once()) === 'refused' || ended.signal.aborted) return
      tries = connections > before ? 0 : tries + 1
      const pause = backoff(tries, Math.random())
      wasDown = true
      set('down', Date.now() + pause)
      await wait(pause, ended.signal)
    }
  })()
  return () => ended.abort()
}
