/**
 * Turns the event log into what people read. Pure: the same events give the same entries, whether they come one by
 * one, in batches, or all at once after a reload.
 */

import type {
  Actor,
  Answer,
  Ask,
  Known,
  LogEvent,
  Payload,
  RunStateName,
  StepStateName,
  ToolKind,
} from './events'
import { known } from './events'

interface Base {
  /** The number of the event that made it; unique, and the target of links. */
  number: number
  at: string
}

export interface MessageEntry extends Base {
  kind: 'message'
  from: Actor
  run: string | null
  text: string
  /** The agent still writes it. */
  streaming: boolean
}

export interface ToolEntry extends Base {
  kind: 'tool'
  run: string
  call: string
  tool: string
  toolKind: ToolKind
  title: string
  input: unknown
  /** `lost`: the run ended before the call came back. */
  state: 'running' | 'ok' | 'failed' | 'lost'
  output: string
  finishedAt: string | null
}

export interface AskEntry extends Base {
  kind: 'ask'
  request: string
  ask: Ask
  /** Undefined while it waits; an answer of null means that it was cancelled. */
  answered: { from: Actor; answer: Answer | null; at: string } | undefined
}

export interface CheckEntry extends Base {
  kind: 'check'
  run: string
  name: string
  command: string
  exitCode: number | null
  killed: string | null
  durationMs: number
  tail: string
  /** Where all of its output is; null when there was none, or when it was told before what is held of the log. */
  written: Written | null
}

/** What a process wrote so far. */
export interface Written {
  exec: string
  /** Bytes. */
  to: number
}

export interface PlanEntry extends Base {
  kind: 'plan'
  version: number
  from: Actor
  leaves: number
  topLevel: number
  restores: number | null
}

export interface StepEntry extends Base {
  kind: 'step'
  step: string
  title: string
  state: StepStateName
  reason: string | undefined
}

export interface RunEntry extends Base {
  kind: 'run'
  run: string
  actionKind: string
  state: 'failed' | 'stopped'
  reason: string | undefined
  message: string | null
}

export interface ChangeEntry extends Base {
  kind: 'change'
  state: string
  branch: string
  pullRequest: number | null
  title: string
}

/** The agent is told what the team knows, other things than the last time. */
export interface KnowledgeEntry extends Base {
  kind: 'knowledge'
  used: readonly Known[]
  leftOut: readonly Known[]
}

/** The session taught something for later ones. */
export interface LearnedEntry extends Base {
  kind: 'learned'
  moment: string
  learned: readonly Known[]
}

export interface NoteEntry extends Base {
  kind: 'note'
  level: 'info' | 'warning' | 'error'
  text: string
}

/** Something that a newer server wrote. */
export interface UnknownEntry extends Base {
  kind: 'unknown'
  type: string
}

export type Entry =
  | MessageEntry
  | ToolEntry
  | AskEntry
  | CheckEntry
  | PlanEntry
  | StepEntry
  | RunEntry
  | ChangeEntry
  | KnowledgeEntry
  | LearnedEntry
  | NoteEntry
  | UnknownEntry

export interface RunInfo {
  actionKind: string
  /** The number of the step that it executes. */
  step: string | null
  state: RunStateName
}

export interface Conversation {
  /** The number of the newest event that is in it. */
  last: number
  entries: readonly Entry[]
  runs: ReadonlyMap<string, RunInfo>
  /** Step ids to the numbers that they had last. */
  steps: ReadonlyMap<string, string>
  /** Runs to what their process writes that has no result yet. */
  writing: ReadonlyMap<string, Written>
}

export const EMPTY: Conversation = {
  last: 0,
  entries: [],
  runs: new Map(),
  steps: new Map(),
  writing: new Map(),
}

const OVER: ReadonlySet<RunStateName> = new Set(['succeeded', 'failed', 'stopped'])

class Builder {
  readonly entries: Entry[]
  readonly runs: Map<string, RunInfo>
  readonly steps: Map<string, string>
  readonly output: Map<string, Written>
  /** Where the text is that each run writes. */
  private readonly writing = new Map<string, number>()
  private readonly calls = new Map<string, number>()
  private readonly asks = new Map<string, number>()

  constructor(from: Conversation) {
    this.entries = from.entries.slice()
    this.runs = new Map(from.runs)
    this.steps = new Map(from.steps)
    this.output = new Map(from.writing)
    for (const [index, entry] of this.entries.entries()) this.index(entry, index)
  }

  private index(entry: Entry, index: number) {
    if (entry.kind === 'message' && entry.streaming && entry.run) this.writing.set(entry.run, index)
    if (entry.kind === 'tool') this.calls.set(`${entry.run} ${entry.call}`, index)
    if (entry.kind === 'ask') this.asks.set(entry.request, index)
  }

  private push(entry: Entry) {
    this.index(entry, this.entries.length)
    this.entries.push(entry)
  }

  private change<E extends Entry>(index: number | undefined, change: Partial<E>) {
    const entry = index === undefined ? undefined : this.entries[index]
    if (index !== undefined && entry) this.entries[index] = { ...entry, ...change } as Entry
  }

  add(event: LogEvent) {
    const base = { number: event.number, at: event.at }
    const payload = known(event)
    if (payload) this.apply(base, payload)
    else this.push({ ...base, kind: 'unknown', type: event.kind })
  }

  private apply(base: Base, payload: Payload) {
    switch (payload.type) {
      case 'message':
        return this.message(base, payload)
      case 'text':
        return this.text(base, payload)
      case 'tool_started':
        return this.push({
          ...base,
          kind: 'tool',
          run: payload.run,
          call: payload.call,
          tool: payload.tool,
          toolKind: payload.kind,
          title: objectOf(payload.tool, payload.title),
          input: payload.input,
          state: 'running',
          output: '',
          finishedAt: null,
        })
      case 'tool_finished':
        return this.change<ToolEntry>(this.calls.get(`${payload.run} ${payload.call}`), {
          state: payload.ok ? 'ok' : 'failed',
          output: payload.output,
          finishedAt: base.at,
        })
      case 'question':
        return this.push({
          ...base,
          kind: 'ask',
          request: payload.request,
          ask: payload.ask,
          answered: undefined,
        })
      case 'answer':
        return this.change<AskEntry>(this.asks.get(payload.request), {
          answered: { from: payload.from, answer: payload.answer, at: base.at },
        })
      case 'plan_version':
        return this.push({
          ...base,
          kind: 'plan',
          version: payload.version,
          from: payload.from,
          leaves: payload.leaves,
          topLevel: payload.top_level,
          restores: payload.restores,
        })
      case 'step_state':
        this.steps.set(payload.step, payload.number)
        // Queued and waiting are told by the steps and by what waits; here they would only be noise.
        if (payload.state === 'queued' || payload.state === 'waiting') return
        if (payload.state === 'in_progress' && this.resumes(payload.step)) return
        return this.push({
          ...base,
          kind: 'step',
          step: payload.step,
          title: `${payload.number} ${payload.title}`,
          state: payload.state,
          reason: payload.reason,
        })
      case 'run_state':
        return this.run(base, payload)
      case 'output':
        this.output.set(payload.run, { exec: payload.exec, to: payload.to })
        return
      case 'check_result':
        this.push({
          ...base,
          kind: 'check',
          run: payload.run,
          name: payload.name,
          command: payload.command,
          exitCode: payload.exit_code,
          killed: payload.killed,
          durationMs: payload.duration_ms,
          tail: payload.tail,
          written: this.output.get(payload.run) ?? null,
        })
        this.output.delete(payload.run)
        return
      case 'change_state':
        return this.changeState(base, payload)
      case 'knowledge':
        return this.push({ ...base, kind: 'knowledge', used: payload.used, leftOut: payload.left_out })
      case 'learned':
        return this.push({ ...base, kind: 'learned', moment: payload.moment, learned: payload.learned })
      case 'note':
        return this.push({ ...base, kind: 'note', level: payload.level, text: payload.text })
      // The log has them; the header and the steps add them up.
      case 'usage':
      case 'sandbox_state':
        return
    }
  }

  /** True when the newest word on the step is that it is in progress: it only waited for a person between. */
  private resumes(step: string): boolean {
    const entry = this.entries.findLast((entry) => entry.kind === 'step' && entry.step === step)
    return entry?.kind === 'step' && entry.state === 'in_progress'
  }

  private message(base: Base, payload: Payload & { type: 'message' }) {
    const finished = { kind: 'message', from: payload.from, run: payload.run, text: payload.text } as const
    if (payload.from.who === 'agent' && payload.run) {
      const open = this.writing.get(payload.run)
      if (open !== undefined) {
        // The finished text takes the place of its pieces, so nothing moves and its link stays.
        this.writing.delete(payload.run)
        return this.change<MessageEntry>(open, { text: payload.text, streaming: false })
      }
    }
    this.push({ ...base, ...finished, streaming: false })
  }

  private text(base: Base, payload: Payload & { type: 'text' }) {
    const open = this.writing.get(payload.run)
    const entry = open === undefined ? undefined : this.entries[open]
    if (entry?.kind === 'message')
      return this.change<MessageEntry>(open, { text: entry.text + payload.delta })
    this.push({
      ...base,
      kind: 'message',
      from: { who: 'agent' },
      run: payload.run,
      text: payload.delta,
      streaming: true,
    })
  }

  private run(base: Base, payload: Payload & { type: 'run_state' }) {
    const step = payload.step ? (this.steps.get(payload.step) ?? null) : null
    this.runs.set(payload.run, { actionKind: payload.action_kind, step, state: payload.state })
    if (!OVER.has(payload.state)) return
    const open = this.writing.get(payload.run)
    if (open !== undefined) {
      this.writing.delete(payload.run)
      this.change<MessageEntry>(open, { streaming: false })
    }
    for (const [key, index] of this.calls) {
      const entry = this.entries[index]
      if (key.startsWith(`${payload.run} `) && entry?.kind === 'tool' && entry.state === 'running')
        this.change<ToolEntry>(index, { state: 'lost', finishedAt: base.at })
    }
    if (payload.state === 'failed' || payload.state === 'stopped')
      this.push({
        ...base,
        kind: 'run',
        run: payload.run,
        actionKind: payload.action_kind,
        state: payload.state,
        reason: payload.reason,
        message: payload.message,
      })
  }

  private changeState(base: Base, payload: Payload & { type: 'change_state' }) {
    const entry = {
      ...base,
      kind: 'change',
      state: payload.state,
      branch: payload.branch,
      pullRequest: payload.pull_request,
      title: payload.title,
    } as const
    // A branch that only got another commit is no news; what it became is.
    const before = this.entries.findLast(
      (entry) => entry.kind === 'change' && entry.branch === payload.branch,
    )
    if (before?.kind === 'change' && before.state === entry.state && before.pullRequest === entry.pullRequest)
      return
    this.push(entry)
  }
}

/** What a call is about, without what the page says beside it: its verb, and where the workspace lies in the sandbox. */
function objectOf(tool: string, title: string): string {
  const object = title.startsWith(`${tool} `) ? title.slice(tool.length + 1) : title
  return object.startsWith('/code/') ? object.slice('/code/'.length) : object
}

/** The conversation after `events`, which must follow on `from.last` without a gap. */
export function extend(from: Conversation, events: readonly LogEvent[]): Conversation {
  if (events.length === 0) return from
  const builder = new Builder(from)
  for (const event of events) builder.add(event)
  const { entries, runs, steps, output } = builder
  return { last: events.at(-1)?.number ?? from.last, entries, runs, steps, writing: output }
}

/** One line of the conversation: an entry, or reads that are folded together. */
export type Row =
  | { kind: 'entry'; key: number; entry: Entry }
  | { kind: 'reads'; key: number; tools: readonly ToolEntry[] }

const QUIET: ReadonlySet<ToolKind> = new Set(['read', 'search', 'think'])

/** Folds neighbouring reads and searches; what changes something stays a line of its own. */
export function fold(entries: readonly Entry[]): Row[] {
  const rows: Row[] = []
  let reads: ToolEntry[] = []
  const flush = () => {
    const [first] = reads
    if (!first) return
    if (reads.length === 1) rows.push({ kind: 'entry', key: first.number, entry: first })
    else rows.push({ kind: 'reads', key: first.number, tools: reads })
    reads = []
  }
  for (const entry of entries) {
    if (entry.kind === 'tool' && QUIET.has(entry.toolKind) && entry.state !== 'failed') {
      if (reads[0] && reads[0].run !== entry.run) flush()
      reads.push(entry)
    } else {
      flush()
      rows.push({ kind: 'entry', key: entry.number, entry })
    }
  }
  flush()
  return rows
}
