import { describe, expect, it } from 'vitest'
import type { LogEvent } from './events'
import { EventLog, follow, PAGE, type Source } from './log'
import { MOST } from './stretch'

const event = (number: number): LogEvent => ({
  number,
  at: '2026-11-28T10:00:00Z',
  kind: 'note',
  payload: { type: 'note', level: 'info', text: `n${number}` },
})
const range = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => event(from + index))
const numbers = (events: readonly LogEvent[]) => events.map(({ number }) => number)

describe('what follows', () => {
  it('drops what is known, sorts, and stops at a gap', () => {
    expect(follow(2, [event(4), event(2), event(3), event(3)])).toEqual({
      fresh: [event(3), event(4)],
      gap: false,
    })
    const { fresh, gap } = follow(2, [event(3), event(5)])
    expect([numbers(fresh), gap]).toEqual([[3], true])
  })
})

/** A server with a log, and a hand on everything that happens in between. */
class Rig implements Source {
  log: LogEvent[] = []
  asked: [after: number, first: number][] = []
  pageSize = 3
  broken = false
  push: (event: LogEvent) => void = () => {}
  after: () => number = () => -1
  listening = 0
  private due: (() => void)[] = []

  newest = async () => {
    if (this.broken) throw new Error('unreachable')
    return this.log.length
  }

  fetch = async (after: number, first: number) => {
    this.asked.push([after, first])
    if (this.broken) throw new Error('unreachable')
    const rest = this.log.filter(({ number }) => number > after)
    const page = Math.min(first, this.pageSize)
    return { nodes: rest.slice(0, page), hasMore: rest.length > page }
  }

  listen = (after: () => number, next: (event: LogEvent) => void) => {
    this.listening += 1
    this.push = next
    this.after = after
    return () => {
      this.listening -= 1
    }
  }

  soon = (callback: () => void) => void this.due.push(callback)

  /** Lets everything happen that is due. */
  async settle() {
    for (let turn = 0; turn < 60; turn++) {
      for (const callback of this.due.splice(0)) callback()
      await Promise.resolve()
    }
  }
}

const shown = (log: EventLog) => log.get().conversation.entries.map(({ number }) => number)
const counted = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe('the event log', () => {
  it('reads the past page by page, then listens from its last number', async () => {
    const rig = new Rig()
    rig.log = range(1, 7)
    const log = new EventLog(rig)
    await log.start()
    expect(shown(log)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(rig.asked).toEqual([
      [0, 7],
      [3, 4],
      [6, 1],
    ])
    expect(log.get()).toMatchObject({ loaded: true, first: 1, newest: 7 })
    expect(numbers(log.get().recent)).toEqual(counted(1, 7))
    expect(rig.after()).toBe(7)
  })

  it('takes what comes once and in order, and batches it', async () => {
    const rig = new Rig()
    const log = new EventLog(rig)
    await log.start()
    let told = 0
    log.subscribe(() => {
      told += 1
    })
    for (const each of [event(1), event(2), event(2), event(1), event(3)]) rig.push(each)
    await rig.settle()
    expect(shown(log)).toEqual([1, 2, 3])
    expect(told).toBe(1)
    expect(rig.after()).toBe(3)
  })

  it('fetches what is missing before what came, and loses neither', async () => {
    const rig = new Rig()
    const log = new EventLog(rig)
    await log.start()
    rig.log = range(1, 9)
    rig.push(event(1))
    rig.push(event(8))
    await rig.settle()
    rig.push(event(9))
    rig.push(event(10))
    await rig.settle()
    expect(shown(log)).toEqual(counted(1, 10))
  })

  it('says why it could not read, and reads on where it was when it is asked again', async () => {
    const rig = new Rig()
    rig.log = range(1, 4)
    rig.broken = true
    const log = new EventLog(rig)
    await log.start()
    expect(log.get()).toMatchObject({ loaded: false, failed: new Error('unreachable') })
    expect(rig.listening).toBe(0)
    rig.broken = false
    await log.start()
    expect(log.get()).toMatchObject({ loaded: true, failed: null })
    expect(rig.listening).toBe(1)
  })

  it('stops listening, and starts again from its last number', async () => {
    const rig = new Rig()
    rig.log = range(1, 2)
    const log = new EventLog(rig)
    await log.start()
    log.stop()
    expect(rig.listening).toBe(0)
    rig.log = range(1, 5)
    await log.start()
    expect(shown(log)).toEqual([1, 2, 3, 4, 5])
    expect(rig.listening).toBe(1)
  })
})

describe('a long log', () => {
  const long = async (length: number, at?: number) => {
    const rig = new Rig()
    rig.pageSize = PAGE
    rig.log = range(1, length)
    const log = new EventLog(rig)
    await log.start(at)
    return { rig, log }
  }

  it('is read from its end, and upwards without a gap, never more at once than may be held', async () => {
    const { rig, log } = await long(10_000)
    expect(rig.asked).toEqual([[9_500, 500]])
    const seen = new Set(shown(log))
    while (log.get().first > 1) {
      await log.earlier()
      const held = shown(log)
      expect(held.length).toBeLessThanOrEqual(MOST)
      expect(held).toEqual(counted(log.get().first, log.get().conversation.last))
      for (const number of held) seen.add(number)
    }
    expect(seen.size).toBe(10_000)
    expect(log.get().conversation.last).toBeLessThan(10_000)
    while (log.get().conversation.last < 10_000) await log.later()
    expect(shown(log)).toEqual(counted(log.get().first, 10_000))
  })

  it('lets the oldest go for the newest while one follows it', async () => {
    const { rig, log } = await long(500)
    for (const each of range(501, MOST + 100)) rig.push(each)
    await rig.settle()
    const { first, newest } = log.get()
    expect([newest, shown(log)]).toEqual([MOST + 100, counted(first, MOST + 100)])
    expect(first).toBeGreaterThan(1)
  })

  it('keeps what one reads while one does not, and goes to the end at once', async () => {
    const { rig, log } = await long(500)
    log.follow(false)
    const told: number[] = []
    log.subscribe((fresh) => void told.push(...numbers(fresh)))
    rig.log = range(1, 2 * MOST)
    for (let from = 501; from < 2 * MOST; from += 500) {
      for (const each of rig.log.slice(from - 1, from + 499)) rig.push(each)
      await rig.settle()
    }
    expect(told).toEqual(counted(501, 2 * MOST))
    expect(log.get().first).toBe(1)
    expect(shown(log).length).toBeLessThanOrEqual(MOST)
    expect(log.get().newest).toBe(2 * MOST)
    await log.go()
    expect(shown(log)).toEqual(counted(2 * MOST - 499, 2 * MOST))
  })

  it('opens around the event that a link leads to', async () => {
    const { rig, log } = await long(10_000, 4_000)
    expect(shown(log)).toEqual(counted(3_751, 4_250))
    expect(log.get().newest).toBe(10_000)
    // What is new does not belong behind what is held.
    rig.push(event(10_001))
    await rig.settle()
    expect(shown(log)).toEqual(counted(3_751, 4_250))
    expect(numbers(log.get().recent)).toEqual([10_001])
    await log.go(20)
    expect(shown(log)[0]).toBe(1)
  })
})
