import { type Conversation, EMPTY, extend } from './conversation'
import type { LogEvent } from './events'

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
  /** Events above a number. */
  fetch: (after: number) => Promise<Page>
  /** Keeps calling `next` with events above `after()`, over broken connections too; returns its end. */
  listen: (after: () => number, next: (event: LogEvent) => void) => () => void
  /** Calls back a little later, once: batches what comes between. */
  soon: (callback: () => void) => void
}

export interface Snapshot {
  events: readonly LogEvent[]
  conversation: Conversation
  /** False while the past is still fetched. */
  loaded: boolean
  /** Why the past could not be fetched. */
  failed: unknown
}

/** A session's log in the browser: the past by pages, then live; the same as on the server, or shorter, never other. */
export class EventLog {
  private snapshot: Snapshot = { events: [], conversation: EMPTY, loaded: false, failed: null }
  private waiting: LogEvent[] = []
  private scheduled = false
  private fetching = false
  private stopped = false
  private unlisten: (() => void) | undefined
  private readonly listeners = new Set<(fresh: readonly LogEvent[]) => void>()

  private readonly source: Source

  constructor(source: Source) {
    this.source = source
  }

  readonly get = (): Snapshot => this.snapshot

  readonly subscribe = (listener: (fresh: readonly LogEvent[]) => void): (() => void) => {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  get last(): number {
    return this.snapshot.conversation.last
  }

  async start(): Promise<void> {
    this.stopped = false
    await this.catchUp()
    if (this.stopped || this.unlisten || this.snapshot.failed) return
    this.unlisten = this.source.listen(
      () => this.last,
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

  /** Fetches all that is missing, page by page. */
  private async catchUp(): Promise<void> {
    if (this.fetching) return
    this.fetching = true
    try {
      for (;;) {
        const page = await this.source.fetch(this.last)
        if (this.stopped) return
        const { fresh } = follow(this.last, page.nodes)
        const done = !page.hasMore || fresh.length === 0
        this.take(fresh, done ? { loaded: true, failed: null } : {})
        if (done) break
      }
    } catch (failed) {
      this.take([], { failed })
    } finally {
      this.fetching = false
    }
    if (this.waiting.length > 0 && !this.snapshot.failed) this.schedule()
  }

  private schedule() {
    if (this.scheduled) return
    this.scheduled = true
    this.source.soon(() => {
      this.scheduled = false
      if (this.fetching || this.stopped) return
      const waiting = this.waiting
      const { fresh, gap } = follow(this.last, waiting)
      this.waiting = []
      this.take(fresh, {})
      if (gap) {
        this.waiting = waiting.filter((event) => event.number > this.last)
        void this.catchUp()
      }
    })
  }

  private take(fresh: readonly LogEvent[], change: Partial<Snapshot>) {
    if (fresh.length === 0 && Object.keys(change).length === 0) return
    const { events, conversation } = this.snapshot
    this.snapshot = {
      ...this.snapshot,
      ...(fresh.length > 0
        ? { events: [...events, ...fresh], conversation: extend(conversation, fresh) }
        : undefined),
      ...change,
    }
    for (const listener of this.listeners) listener(fresh)
  }
}
