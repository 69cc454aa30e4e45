import { describe, expect, it } from 'vitest'
import { EMPTY, extend } from './conversation'
import type { LogEvent, Payload } from './events'
import { cut, join, MOST, MOST_CHARACTERS, stretchOf, tooLong } from './stretch'

const log = (payloads: readonly Payload[]): LogEvent[] =>
  payloads.map((payload, index) => ({
    number: index + 1,
    at: '2026-11-28T10:00:00.000Z',
    kind: payload.type,
    payload,
  }))
const text = (delta: string, run = 'r1'): Payload => ({ type: 'text', run, delta })
const note = (words: string): Payload => ({ type: 'note', level: 'info', text: words })
const output = (from: number, to: number, exec = 'e1'): Payload => ({
  type: 'output',
  run: 'r1',
  exec,
  from,
  to,
})

const STORY: Payload[] = [
  { type: 'message', from: { who: 'person', user: 'ada' }, run: null, text: 'please' },
  text('Hel'),
  text('lo '),
  text('again'),
  { type: 'usage', run: 'r1', input: 1, output: 1, cache_read: 0, cache_write: 0, cost: 1 },
  text(' and on'),
  text('other', 'r2'),
  { type: 'message', from: { who: 'agent' }, run: 'r2', text: 'other.' },
  { type: 'message', from: { who: 'agent' }, run: 'r1', text: 'Hello again and on.' },
  output(0, 10),
  output(10, 25),
  {
    type: 'check_result',
    run: 'r1',
    step: null,
    name: 'tests',
    command: 'make',
    exit_code: 0,
    duration_ms: 1,
    killed: null,
    log: '',
    tail: '',
  },
  note('end'),
]

describe('a stretch of the log', () => {
  it('gives the conversation that all its events give, wherever it was put together', () => {
    const events = log(STORY)
    const whole = extend(EMPTY, events)
    for (let at = 0; at <= events.length; at++) {
      const stretch = join(stretchOf(0, events.slice(0, at)), stretchOf(at, events.slice(at)))
      expect(extend(EMPTY, stretch.events).entries).toEqual(whole.entries)
      expect([stretch.first, stretch.last]).toEqual([1, events.length])
    }
  })

  it('holds a text of ten thousand pieces as one, and a process that writes all day as one', () => {
    const pieces = log(Array.from({ length: 10_000 }, () => text('word ')))
    expect(stretchOf(0, pieces).events).toHaveLength(1)
    expect(extend(EMPTY, stretchOf(0, pieces).events).entries).toEqual(extend(EMPTY, pieces).entries)
    const outputs = log(Array.from({ length: 10_000 }, (_, index) => output(index, index + 1)))
    expect(stretchOf(0, outputs).events.map(({ payload }) => payload)).toEqual([output(0, 10_000)])
    const two = log([output(0, 5), output(5, 9), output(0, 3, 'e2'), output(3, 4, 'e2')])
    expect(stretchOf(0, two).events.map(({ payload }) => payload)).toEqual([output(0, 9), output(0, 4, 'e2')])
  })

  it('is cut at either end without a gap', () => {
    const stretch = stretchOf(0, log(Array.from({ length: MOST + 1 }, (_, index) => note(`${index}`))))
    expect(tooLong(stretch)).toBe(true)
    const late = cut(stretch, 'start')
    expect([late.events[0]?.number, late.last]).toEqual([late.first, MOST + 1])
    const early = cut(stretch, 'end')
    expect([early.first, early.events.at(-1)?.number]).toEqual([1, early.last])
    expect(tooLong(late) || tooLong(early)).toBe(false)
  })

  it('is too long by what its events say as well, and keeps one whatever it says', () => {
    const long = note('x'.repeat(MOST_CHARACTERS / 2))
    const stretch = stretchOf(0, log([long, long, long]))
    expect(tooLong(stretch)).toBe(true)
    expect(cut(stretch, 'start').events.map(({ number }) => number)).toEqual([3])
    const one = stretchOf(0, log([note('x'.repeat(MOST_CHARACTERS))]))
    expect([tooLong(one), cut(one, 'end').events.length]).toEqual([false, 1])
  })
})
