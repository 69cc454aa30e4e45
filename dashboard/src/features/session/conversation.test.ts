import { describe, expect, it } from 'vitest'
import { type AskEntry, EMPTY, extend, fold, type MessageEntry, type ToolEntry } from './conversation'
import type { LogEvent, Payload } from './events'

const log = (...payloads: (Payload | { type: string })[]): LogEvent[] =>
  payloads.map((payload, index) => ({
    number: index + 1,
    at: `2026-11-28T10:00:${String(index % 60).padStart(2, '0')}.000Z`,
    kind: payload.type,
    payload,
  }))

const agent = { who: 'agent' } as const
const ada = { who: 'person', user: 'ada' } as const
const run = (state: 'running' | 'failed' | 'succeeded', id = 'r1', step: string | null = null): Payload => ({
  type: 'run_state',
  run: id,
  action: 'a1',
  action_kind: step ? 'execute_step' : 'plan',
  step,
  state,
  message: state === 'failed' ? 'the sandbox is gone' : null,
})
const text = (delta: string, id = 'r1'): Payload => ({ type: 'text', run: id, delta })
const said = (words: string, id = 'r1'): Payload => ({ type: 'message', from: agent, run: id, text: words })
const started = (call: string, kind: 'read' | 'execute' = 'read'): Payload => ({
  type: 'tool_started',
  run: 'r1',
  call,
  tool: kind === 'read' ? 'Read' : 'Bash',
  kind,
  title: call,
  input: {},
})
const finished = (call: string, ok = true): Payload => ({
  type: 'tool_finished',
  run: 'r1',
  call,
  ok,
  output: 'out',
})
const step = (state: 'queued' | 'in_progress' | 'waiting' | 'completed'): Payload => ({
  type: 'step_state',
  step: 's1',
  number: '1.2',
  title: 'Replace them',
  state,
  ...(state === 'completed' ? { reason: 'changed' } : {}),
})

const STORY = log(
  { type: 'message', from: ada, run: null, text: 'please' },
  run('running'),
  started('a'),
  finished('a'),
  text('Hel'),
  text('lo'),
  said('Hello.'),
  {
    type: 'question',
    request: 'q1',
    ask: { kind: 'permission', tool: 'Bash', input: {}, reason: 'why', tool_use_id: 't' },
  },
  { type: 'answer', request: 'q1', from: ada, answer: { answer: 'allow' } },
  step('queued'),
  run('running', 'r2', 's1'),
  step('in_progress'),
  step('waiting'),
  step('in_progress'),
  started('b', 'execute'),
  text('half a sen'),
  run('failed'),
  { type: 'from_the_future' },
  step('completed'),
)

describe('the conversation', () => {
  it('is the same however the events arrive', () => {
    const whole = extend(EMPTY, STORY)
    const single = STORY.reduce((before, event) => extend(before, [event]), EMPTY)
    expect(single).toEqual(whole)
    for (let at = 1; at < STORY.length; at++)
      expect(extend(extend(EMPTY, STORY.slice(0, at)), STORY.slice(at))).toEqual(whole)
  })

  it('does not change what it was made from', () => {
    const before = extend(EMPTY, STORY.slice(0, 5))
    const copy = structuredClone(before)
    extend(before, STORY.slice(5))
    expect(before).toEqual(copy)
  })

  it('keeps entries that did not change, so that they are not drawn again', () => {
    const before = extend(EMPTY, STORY.slice(0, 4))
    const after = extend(before, STORY.slice(4))
    expect(after.entries[0]).toBe(before.entries[0])
    expect(after.entries[1]).toBe(before.entries[1])
  })

  it('grows the text in one place and puts the finished message there', () => {
    const growing = extend(EMPTY, STORY.slice(0, 6)).entries.at(-1) as MessageEntry
    expect(growing).toMatchObject({ number: 5, text: 'Hello', streaming: true })
    const done = extend(EMPTY, STORY.slice(0, 7)).entries.at(-1) as MessageEntry
    expect(done).toMatchObject({ number: 5, text: 'Hello.', streaming: false })
  })

  it('keeps two runs apart that write at once', () => {
    const { entries } = extend(
      EMPTY,
      log(text('a', 'r1'), text('b', 'r2'), text('a', 'r1'), said('bb', 'r2')),
    )
    expect(entries.map((entry) => (entry as MessageEntry).text)).toEqual(['aa', 'bb'])
  })

  it('shows a message that had no pieces', () => {
    expect(extend(EMPTY, log(said('all at once'))).entries).toMatchObject([
      { text: 'all at once', streaming: false },
    ])
  })

  it('ends what a run leaves open: its text and its calls', () => {
    const { entries } = extend(EMPTY, STORY)
    expect(entries.find((entry) => entry.kind === 'tool' && entry.call === 'b')).toMatchObject({
      state: 'lost',
    })
    expect(entries.find((entry) => entry.kind === 'message' && entry.text === 'half a sen')).toMatchObject({
      streaming: false,
    })
    expect(entries.find((entry) => entry.kind === 'run')).toMatchObject({ message: 'the sandbox is gone' })
  })

  it('brings a call and its result together', () => {
    const [tool] = extend(EMPTY, log(started('a'), finished('a', false))).entries as ToolEntry[]
    expect(tool).toMatchObject({ state: 'failed', output: 'out', finishedAt: '2026-11-28T10:00:01.000Z' })
  })

  it('says what a call is about and leaves the verb to the page', () => {
    const titles = ['Read /code/src/main.rs', 'Read /etc/hosts', 'cat /code/a'].map((title) => {
      const call = { ...started('c1'), title } as Payload
      return (extend(EMPTY, log(run('running'), call)).entries.at(-1) as ToolEntry).title
    })
    expect(titles).toEqual(['src/main.rs', '/etc/hosts', 'cat /code/a'])
  })

  it('answers a question in its place', () => {
    const ask = extend(EMPTY, STORY).entries.find((entry) => entry.kind === 'ask') as AskEntry
    expect(ask.answered).toMatchObject({ from: ada, answer: { answer: 'allow' } })
  })

  it('says once that a step runs, however often it waited', () => {
    const steps = extend(EMPTY, STORY).entries.filter((entry) => entry.kind === 'step')
    expect(steps.map((entry) => entry.kind === 'step' && entry.state)).toEqual(['in_progress', 'completed'])
  })

  it('knows the number of the step that a run executes', () => {
    expect(extend(EMPTY, STORY).runs.get('r2')).toMatchObject({ step: '1.2', actionKind: 'execute_step' })
  })

  it('shows that there is something that it does not know', () => {
    expect(extend(EMPTY, STORY).entries).toContainEqual(
      expect.objectContaining({ kind: 'unknown', type: 'from_the_future' }),
    )
  })

  it('is quiet about another commit of the same change', () => {
    const change = (head: string, state: 'draft' | 'open'): Payload => ({
      type: 'change_state',
      change: 'c1',
      state,
      branch: 'b',
      head,
      pull_request: 17,
      title: 'T',
    })
    const { entries } = extend(EMPTY, log(change('1', 'draft'), change('2', 'draft'), change('2', 'open')))
    expect(entries.map((entry) => entry.kind === 'change' && entry.state)).toEqual(['draft', 'open'])
  })
})

describe('folding', () => {
  it('puts neighbouring reads together and leaves the rest', () => {
    const events = log(started('a'), finished('a'), started('b'), started('c', 'execute'), started('d'))
    const rows = fold(extend(EMPTY, events).entries)
    expect(rows.map((row) => (row.kind === 'reads' ? row.tools.length : row.entry.kind))).toEqual([
      2,
      'tool',
      'tool',
    ])
  })

  it('does not hide a read that failed', () => {
    const events = log(started('a'), finished('a', false), started('b'), finished('b'))
    expect(fold(extend(EMPTY, events).entries).every((row) => row.kind === 'entry')).toBe(true)
  })

  it('says what the agent is told, with what there was no room for', () => {
    const known = (title: string, kind: 'persona' | 'context_file') => ({
      id: title,
      kind,
      title,
      version: 1,
    })
    const { entries } = extend(
      EMPTY,
      log(run('running'), {
        type: 'knowledge',
        run: 'r1',
        used: [known('Careful', 'persona')],
        left_out: [known('Big', 'context_file')],
      }),
    )
    expect(entries).toMatchObject([
      { kind: 'knowledge', used: [{ title: 'Careful' }], leftOut: [{ title: 'Big' }] },
    ])
  })

  it('shows what a run taught, on which occasion', () => {
    const learned = [{ id: 'l1', kind: 'learning', title: 'The tests hang', version: 1 }]
    const event = { type: 'learned', run: 'r1', moment: 'checks_fixed', learned }
    const { entries } = extend(EMPTY, log(run('running'), event))
    expect(entries).toMatchObject([
      { kind: 'learned', moment: 'checks_fixed', learned: [{ title: 'The tests hang' }] },
    ])
  })
})
