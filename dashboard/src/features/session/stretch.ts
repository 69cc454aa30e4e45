/** A part of a session's log without a gap, without what the conversation does not show. */

import type { LogEvent } from './events'
import { known } from './events'

export interface Stretch {
  /** The number of the first event. */
  first: number
  /** The number of the last event; one less than `first` when nothing is held. */
  last: number
  /** What the conversation is made of: pieces of one text are put together, and the rest is left out. */
  events: readonly LogEvent[]
}

export const EMPTY_STRETCH: Stretch = { first: 1, last: 0, events: [] }

/** So many events, or so many characters in them, are held at most. */
export const MOST = 3_000
export const MOST_CHARACTERS = 8 << 20

/** The log has these; in the conversation they are nothing. */
const SILENT: ReadonlySet<string> = new Set(['usage', 'sandbox_state'])

const sizes = new WeakMap<LogEvent, number>()

function size(event: LogEvent): number {
  let known = sizes.get(event)
  if (known === undefined) {
    known = JSON.stringify(event.payload)?.length ?? 0
    sizes.set(event, known)
  }
  return known
}

const pieceOf = (event: LogEvent | undefined) => {
  const payload = event && known(event)
  return payload?.type === 'text' ? payload : undefined
}

/** What an event adds to what is held: nothing, more of the text before it, the whole of that text, or itself. */
function add(events: LogEvent[], event: LogEvent) {
  if (SILENT.has(event.kind)) return
  const last = events.at(-1)
  const payload = known(event)
  const written = last && known(last)
  if (last && written?.type === 'output' && payload?.type === 'output' && written.exec === payload.exec) {
    events[events.length - 1] = { ...last, payload: { ...written, to: payload.to } }
    return
  }
  const before = pieceOf(last)
  if (last && before && payload && 'run' in payload && payload.run === before.run) {
    if (payload.type === 'text') {
      const joined = { ...last, payload: { ...before, delta: before.delta + payload.delta } }
      sizes.set(joined, size(last) + payload.delta.length)
      events[events.length - 1] = joined
      return
    }
    // The finished text says all of it again; only where it began is told by its pieces.
    if (payload.type === 'message' && payload.from.who === 'agent')
      events[events.length - 1] = { ...last, payload: { ...before, delta: '' } }
  }
  events.push(event)
}

/** What follows on event `after`. */
export function stretchOf(after: number, incoming: readonly LogEvent[]): Stretch {
  const events: LogEvent[] = []
  for (const event of incoming) add(events, event)
  return { first: after + 1, last: incoming.at(-1)?.number ?? after, events }
}

/** Two stretches of which the second follows on the first. */
export function join(earlier: Stretch, later: Stretch): Stretch {
  const events = earlier.events.slice()
  for (const event of later.events) add(events, event)
  return { first: earlier.first, last: later.last, events }
}

export function tooLong({ events }: Stretch): boolean {
  if (events.length > MOST) return true
  let characters = 0
  for (const event of events) characters += size(event)
  return characters > MOST_CHARACTERS && events.length > 1
}

/** Lets a third go at one end; the last event always stays. */
export function cut(stretch: Stretch, where: 'start' | 'end'): Stretch {
  const { events } = stretch
  const ordered = where === 'start' ? events.toReversed() : events
  let characters = 0
  let kept = 0
  for (const event of ordered) {
    characters += size(event)
    if (kept > 0 && (kept >= (MOST * 2) / 3 || characters > (MOST_CHARACTERS * 2) / 3)) break
    kept += 1
  }
  if (where === 'start') {
    const left = events.slice(-kept)
    return { ...stretch, first: left[0]?.number ?? stretch.first, events: left }
  }
  const left = events.slice(0, kept)
  const next = events[kept]
  return { ...stretch, last: next ? next.number - 1 : stretch.last, events: left }
}
