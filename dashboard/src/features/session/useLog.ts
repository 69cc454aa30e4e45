import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import { type Person, peopleQuery } from '../../app/queries'
import { request } from '../../graphql/client'
import { onReturn, subscribe } from '../../graphql/live'
import { sayError } from '../../ui/toast'
import type { LogEvent } from './events'
import { EventLog, type Snapshot, type Source } from './log'
import { EVENTS, NEW_EVENTS, NEWEST, sessionKey } from './queries'

/** Kinds of events after which the session's header, steps or changes look different. */
const MOVING: ReadonlySet<string> = new Set([
  'step_state',
  'run_state',
  'plan_version',
  'change_state',
  'question',
  'answer',
  'usage',
  'sandbox_state',
  'message',
])

/** Who speaks in these events. */
function speakers(events: readonly LogEvent[]): string[] {
  return events.flatMap((event) => {
    const { from } = (event.payload ?? {}) as { from?: { who?: unknown; user?: unknown } }
    return from?.who === 'person' && typeof from.user === 'string' ? [from.user] : []
  })
}

const sourceOf = (session: number): Source => ({
  newest: async () => (await request(NEWEST, { number: session })).session?.lastEvent ?? 0,
  fetch: async (after, first) => {
    const events = (await request(EVENTS, { number: session, after, first })).session?.events
    return events ?? { nodes: [], hasMore: false }
  },
  listen: (after, next) =>
    subscribe({
      document: NEW_EVENTS,
      variables: () => ({ session, after: after() }),
      next: (data) => next(data.events),
      refused: sayError,
    }),
  // Once a frame is as often as anybody can see; a hidden page gets no frames, but must not fall behind.
  soon: (callback) => {
    if (document.visibilityState === 'visible') requestAnimationFrame(callback)
    else window.setTimeout(callback, 200)
  },
})

/** What is held of a log, and the log that holds it. */
export interface Held extends Snapshot {
  log: EventLog
}

/** The live log of a session from around an event or at its end, and the session's state kept as fresh as the log. */
export function useLog(session: number, at: number | undefined): Held {
  const client = useQueryClient()
  const log = useMemo(() => new EventLog(sourceOf(session)), [session])
  const begin = useRef(at)
  useEffect(() => {
    let due: number | undefined
    const refresh = (fresh: readonly LogEvent[]) => {
      if (due !== undefined || !log.get().loaded || !fresh.some((event) => MOVING.has(event.kind))) return
      due = window.setTimeout(() => {
        due = undefined
        void client.invalidateQueries({ queryKey: sessionKey(session), exact: true })
      }, 120)
    }
    const greet = (fresh: readonly LogEvent[]) => {
      const known = client.getQueryData<Person[]>(peopleQuery.queryKey)
      // Whoever joined since the people were read has no name here yet.
      if (known && speakers(fresh).some((id) => known.every((person) => person.id !== id)))
        void client.invalidateQueries({ queryKey: peopleQuery.queryKey })
    }
    const ends = [log.subscribe(refresh), log.subscribe(greet)]
    const forget = onReturn(() => log.get().failed && void log.start())
    void log.start(begin.current)
    return () => {
      window.clearTimeout(due)
      for (const end of ends) end()
      forget()
      log.stop()
    }
  }, [client, log, session])
  const snapshot = useSyncExternalStore(log.subscribe, log.get)
  return useMemo(() => ({ ...snapshot, log }), [snapshot, log])
}
