import { describe, expect, it } from 'vitest'
import type { LogEvent } from './events'
import { EventLog, follow, type Source } from './log'

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
  asked: number[] = []
  pageSize = 3
  broken = false
  push: (event: LogEvent) => void = () => {}
  after: () => number = () => -1
  listening = 0
  private due: (() => void)[] = []

  fetch = async (after: number) => {
    this.asked.push(after)
    if (this.broken) throw new Error('unreachable')
    const rest = this.log.filter(({ number }) => number > after)
    return { nodes: rest.slice(0, this.pageSize), hasMore: rest.length > this.pageSize }
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
    for (let turn = 0; turn < 20; turn++) {
      for (const callback of this.due.splice(0)) callback()
      await Promise.resolve()
    }
  }
}

describe('the event log', () => {
  it('reads the past page by page, then listens from its last number', async () => {
    const rig = new Rig()
    rig.log = range(1, 7)
    const log = new EventLog(rig)
    await log.start()
    expect(numbers(log.get().events)).toEqual([1, 2, 3, 4, 5, 6, 7])
    expect(rig.asked).toEqual([0, 3, 6])
    expect(log.get().loaded).toBe(true)
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
    expect(numbers(log.get().events)).toEqual([1, 2, 3])
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
    expect(numbers(log.get().events)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
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
    expect(numbers(log.get().events)).toEqual([1, 2, 3, 4, 5])
    expect(rig.listening).toBe(1)
  })
})
