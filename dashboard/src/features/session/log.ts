/**
 * A session's log in the browser: a stretch of it, as long as it is, and live. What is far from where one reads is let
 * go and fetched again when one comes there, so that a log of any length costs the same.
 */

import { type Conversation, EMPTY, extend } from './conversation'
import type { LogEvent } from './events'
import { cut, join, type Stretch, stretchOf, tooLong } from './stretch'

/**
 * What of `incoming` follows on `last`, in order and each once. `gap` is true when something is missing before what
 * else came: the caller must fetch from the last number on.
 */
export function follow(last: number, incoming: readonly LogEvent[]): { fresh: LogEvent[]; gap: boolean } {
  const fresh: LogEvent[] = []
  let gap = false
  for (const event of incoming.toSorted((a, b) => a.number - b.number)) {
    if (event.number <= last) continue
    if (event.number !== last + 1) {
      gap = true
      break
    }
    fresh.push(event)
    last = event.number
  }
  return { fresh, gap }
}

export interface Page {
  nodes: readonly LogEvent[]
  hasMore: boolean
}

export interface Source {
  /** The number of the newest event. */
  newest: () => Promise<number>
  /** Events above a number, at most `first`. */
  fetch: (after: number, first: number) => Promise<Page>
  /** Keeps calling `next` with events above `after()`, over broken connections too; returns its end. */
  listen: (after: () => number, next: (event: LogEvent) => void) => () => void
  /** Calls back a little later, once: batches what comes between. */
  soon: (callback: () => void) => void
}

export interface Snapshot {
  conversation: Conversation
  /** The number of the first event that the conversation was made of; 1 when it begins with the session. */
  first: number
  /** The number of the newest event that is known of. The conversation may end before it, when one reads far above. */
  newest: number
  /** The newest events without a gap, as they are. */
  recent: readonly LogEvent[]
  /** False while the past is still fetched. */
  loaded: boolean
  /** True while more of the past, or of what came after it, is fetched. */
  reading: boolean
  /** Why the past could not be fetched. */
  failed: unknown
}

/** Events of one request; the server's most. */
export const PAGE = 500

/** So many of the newest events are kept as they are. */
const RECENT = 400

const NOTHING: Snapshot = {
  conversation: EMPTY,
  first: 1,
  newest: 0,
  recent: [],
  loaded: false,
  reading: false,
  failed: null,
}

/** What is shown of a log: the same as on the server, or a part of it without a gap, never other. */
export class EventLog {
  private snapshot: Snapshot = NOTHING
  private stretch: Stretch = stretchOf(0, [])
  private waiting: LogEvent[] = []
  private scheduled = false
  /** What is fetched now, until it is there. */
  private busy: Promise<void> | undefined
  private stopped = false
  /** Whether the newest entry is looked at: then the oldest is let go for it, else the newest waits to be fetched. */
  private following = true
  private unlisten: (() => void) | undefined
  private readonly listeners = new Set<(fresh: readonly LogEvent[]) => void>()

  private readonly source: Source

  constructor(source: Source) {
    this.source = source
  }

  readonly get = (): Snapshot => this.snapshot

  /** Tells of every change, with the events that are new on the server. */
  readonly subscribe = (listener: (fresh: readonly LogEvent[]) => void): (() => void) => {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** Reads the end of the log, or what is around an event, and listens from then on. */
  async start(at?: number): Promise<void> {
    this.stopped = false
    await this.alone(async () => {
      if (this.snapshot.loaded) return this.catchUp()
      await this.open(at)
    })
    if (this.stopped || this.unlisten || this.snapshot.failed) return
    this.unlisten = this.source.listen(
      () => this.snapshot.newest,
      (event) => {
        this.waiting.push(event)
        this.schedule()
      },
    )
  }

  stop() {
    this.stopped = true
    this.unlisten?.()
    this.unlisten = undefined
  }

  /** Says whether the newest entry is looked at. */
  follow(following: boolean) {
    this.following = following
  }

  /** Fetches what comes before the first event that is held. */
  async earlier(): Promise<void> {
    // Whoever still wants it asks again.
    if (this.busy) return
    await this.alone(async () => {
      const { first } = this.stretch
      if (first <= 1) return
      const after = Math.max(0, first - 1 - PAGE)
      const found = stretchOf(after, await this.read(after, first - 1))
      if (found.last !== first - 1) return
      const longer = join(found, this.stretch)
      this.put(tooLong(longer) ? cut(longer, 'end') : longer)
    })
  }

  /** Fetches what comes after the last event that is held. */
  async later(): Promise<void> {
    if (this.busy) return
    await this.alone(async () => {
      const { last } = this.stretch
      if (last >= this.snapshot.newest) return
      const found = await this.read(last, Math.min(last + PAGE, this.snapshot.newest))
      const longer = join(this.stretch, stretchOf(last, found))
      this.put(tooLong(longer) ? cut(longer, 'start') : longer)
    })
  }

  /** Shows the end of the log, or what is around an event, whatever was shown before. */
  async go(at?: number): Promise<void> {
    await this.alone(async () => {
      const { first, last } = this.stretch
      const held = at === undefined ? last >= this.snapshot.newest : at >= first && at <= last
      if (!held) await this.open(at)
    })
  }

  /** One thing is fetched after the other. */
  private async alone(work: () => Promise<void>): Promise<void> {
    while (this.busy) await this.busy
    this.busy = this.tried(work)
    await this.busy
  }

  private async tried(work: () => Promise<void>): Promise<void> {
    if (this.snapshot.loaded) this.change({ reading: true })
    let failed: unknown = null
    try {
      await work()
    } catch (problem) {
      failed = problem
    }
    this.busy = undefined
    this.change({ failed: this.stopped ? null : failed, reading: false })
    if (this.waiting.length > 0 && !failed) this.schedule()
  }

  private async open(at: number | undefined): Promise<void> {
    // Once it listens it knows better than a question does.
    const newest = this.unlisten ? this.snapshot.newest : await this.source.newest()
    const from = at === undefined ? newest - PAGE : Math.min(at - PAGE / 2, newest - PAGE)
    const after = Math.max(0, Math.floor(from))
    const found = await this.read(after, Math.min(after + PAGE, newest))
    if (this.stopped) return
    const stretch = stretchOf(after, found)
    const { recent, loaded } = this.snapshot
    const told = loaded || stretch.last < newest ? { recent } : { recent: found.slice(-RECENT) }
    this.put(stretch, { ...told, newest, loaded: true })
  }

  /** Events above `after` up to `last`; a page may be shorter than asked for. */
  private async read(after: number, last: number): Promise<LogEvent[]> {
    const found: LogEvent[] = []
    while (after < last && !this.stopped) {
      const page = await this.source.fetch(after, last - after)
      const { fresh } = follow(after, page.nodes)
      const newest = fresh.at(-1)
      if (!newest) break
      found.push(...fresh)
      after = newest.number
    }
    return found
  }

  /** Fetches all that came since the newest event that is known of. */
  private async catchUp(): Promise<void> {
    for (;;) {
      const page = await this.source.fetch(this.snapshot.newest, PAGE)
      if (this.stopped) return
      const { fresh } = follow(this.snapshot.newest, page.nodes)
      this.take(fresh)
      if (!page.hasMore || fresh.length === 0) return
    }
  }

  private schedule() {
    if (this.scheduled) return
    this.scheduled = true
    this.source.soon(() => {
      this.scheduled = false
      if (this.busy || this.stopped) return
      const waiting = this.waiting
      const { fresh, gap } = follow(this.snapshot.newest, waiting)
      this.waiting = []
      this.take(fresh)
      if (gap) {
        this.waiting = waiting.filter((event) => event.number > this.snapshot.newest)
        void this.alone(() => this.catchUp())
      }
    })
  }

  /** Takes what is new on the server. */
  private take(fresh: readonly LogEvent[]) {
    const newest = fresh.at(-1)?.number
    if (newest === undefined) return
    const { recent, conversation } = this.snapshot
    const told = { newest, recent: lately(recent, fresh) }
    const { last } = this.stretch
    const whole = last >= this.snapshot.newest
    const longer = whole ? join(this.stretch, stretchOf(last, fresh)) : undefined
    if (longer && !tooLong(longer)) {
      this.stretch = longer
      this.change({ ...told, conversation: extend(conversation, fresh) }, fresh)
    } else if (longer && this.following) this.put(cut(longer, 'start'), told, fresh)
    else this.change(told, fresh)
  }

  /** Shows another stretch. What is known of runs and steps stays known: it was said outside of it. */
  private put(stretch: Stretch, change: Partial<Snapshot> = {}, fresh: readonly LogEvent[] = []) {
    this.stretch = stretch
    const { runs, steps } = this.snapshot.conversation
    const before = { ...EMPTY, runs, steps }
    const conversation = { ...extend(before, stretch.events), last: stretch.last }
    this.change({ ...change, conversation, first: stretch.first }, fresh)
  }

  private change(change: Partial<Snapshot>, fresh: readonly LogEvent[] = []) {
    this.snapshot = { ...this.snapshot, ...change }
    for (const listener of this.listeners) listener(fresh)
  }
}

/** The newest events with those that came: in pieces, so that what is read by number is not asked for anew each time. */
function lately(recent: readonly LogEvent[], fresh: readonly LogEvent[]): readonly LogEvent[] {
  const all = [...recent, ...fresh]
  return all.length > 2 * RECENT ? all.slice(-RECENT) : all
}
