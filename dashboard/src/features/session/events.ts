/** The event log's payloads, as `domain` writes them. */

export type Actor = { who: 'person'; user: string } | { who: 'agent' } | { who: 'system' }

export type ToolKind =
  | 'read'
  | 'edit'
  | 'delete'
  | 'move'
  | 'search'
  | 'execute'
  | 'think'
  | 'fetch'
  | 'other'

export interface Choice {
  label: string
  description?: string
}

export interface Question {
  question: string
  header?: string
  options?: Choice[]
  multi_select?: boolean
}

export type Ask =
  | { kind: 'question'; questions: Question[]; tool_use_id: string }
  | { kind: 'permission'; tool: string; input: unknown; reason: string; tool_use_id: string }
  | { kind: 'publish'; options: Choice[] }

export type Answer =
  | { answer: 'answers'; answers: Record<string, string> }
  | { answer: 'allow' }
  | { answer: 'deny'; reason: string }
  | { answer: 'chosen'; option: string }

export type StepStateName = 'not_started' | 'queued' | 'in_progress' | 'waiting' | 'completed' | 'failed'
export type RunStateName = 'queued' | 'running' | 'waiting' | 'succeeded' | 'failed' | 'stopped'

/** Something that the team knows, as a run was told of it. */
export type Moment = 'error_resolved' | 'checks_fixed' | 'review_addressed' | 'plan_corrected'

export interface Known {
  id: string
  kind: 'context_file' | 'persona'
  title: string
  version: number
}

export type Payload =
  | { type: 'message'; from: Actor; run: string | null; text: string }
  | { type: 'question'; request: string; ask: Ask }
  | { type: 'answer'; request: string; from: Actor; answer: Answer | null }
  | {
      type: 'plan_version'
      version: number
      from: Actor
      leaves: number
      top_level: number
      restores: number | null
    }
  | {
      type: 'step_state'
      step: string
      number: string
      title: string
      state: StepStateName
      reason?: string
      /** Why it was skipped. */
      why?: string
    }
  | {
      type: 'run_state'
      run: string
      action: string
      action_kind: string
      step: string | null
      state: RunStateName
      reason?: string
      message: string | null
    }
  | {
      type: 'tool_started'
      run: string
      call: string
      tool: string
      kind: ToolKind
      title: string
      input: unknown
    }
  | { type: 'tool_finished'; run: string; call: string; ok: boolean; output: string }
  | { type: 'text'; run: string; delta: string }
  | { type: 'output'; run: string; exec: string; from: number; to: number }
  | {
      type: 'check_result'
      run: string
      step: string | null
      name: string
      command: string
      exit_code: number | null
      duration_ms: number
      killed: string | null
      log: string
      tail: string
    }
  | {
      type: 'change_state'
      change: string
      state: 'branch' | 'draft' | 'open' | 'merged' | 'closed'
      branch: string
      head: string
      pull_request: number | null
      title: string
    }
  | {
      type: 'usage'
      run: string
      input: number
      output: number
      cache_read: number
      cache_write: number
      cost: number
    }
  | { type: 'sandbox_state'; state: 'creating' | 'ready' | 'paused' | 'destroyed'; detail: string }
  | { type: 'knowledge'; run: string; used: Known[]; left_out: Known[] }
  | { type: 'learned'; run: string; moment: Moment; learned: Known[] }
  | { type: 'note'; level: 'info' | 'warning' | 'error'; text: string }

export interface LogEvent {
  number: number
  at: string
  kind: string
  payload: unknown
}

/** The kinds of events that this page knows. */
export const KINDS: readonly Payload['type'][] = [
  'message',
  'question',
  'answer',
  'plan_version',
  'step_state',
  'run_state',
  'tool_started',
  'tool_finished',
  'text',
  'output',
  'check_result',
  'change_state',
  'usage',
  'sandbox_state',
  'knowledge',
  'learned',
  'note',
]

const KNOWN: ReadonlySet<string> = new Set(KINDS)

/** The payload when this page knows its kind; null for what a newer server writes. */
export function known(event: LogEvent): Payload | null {
  const payload = event.payload
  if (typeof payload !== 'object' || payload === null || !('type' in payload)) return null
  return KNOWN.has(String(payload.type)) ? (payload as Payload) : null
}
