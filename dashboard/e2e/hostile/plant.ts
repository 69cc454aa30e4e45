import type { LogEvent } from '../../src/features/session/events'

/** Fields that people, agents and repositories fill. What is an id, a state or a time is the server's own. */
const FREE = new Set(
  `title prompt name text body message reason detail description label labels header question summary subject author
   branch baseBranch base head headCommit targetBranch repository location email agent path diff why tool input delta
   output command tail code help instructions original repositories`.split(/\s+/),
)

const oneLine = (text: string) => text.replaceAll('\n', ' ')

function diffOf(vectors: readonly string[]): string {
  return vectors
    .map((vector) => {
      const name = JSON.stringify(`a/${oneLine(vector)}`).replaceAll(/[^\x20-\x7e]/g, (char) => char)
      const lines = vector.split('\n').map((line) => `+${line}`)
      return `diff --git ${name} ${name}\n--- /dev/null\n+++ ${name}\n@@ -0,0 +1,${lines.length} @@ ${oneLine(vector)}\n${lines.join('\n')}\n`
    })
    .join('')
}

/** An answer of the server in which every free field holds a vector, and every list one item for each vector. */
export function planted(answer: unknown, vectors: readonly string[]): unknown {
  const plant = (value: unknown, key: string, vector: string, index: number, within: boolean): unknown => {
    if (key === 'diff') return diffOf(vectors)
    // Any step may have been skipped for any reason.
    if (key === 'skip') return { reason: vector, at: '2026-11-28T05:00:00.000Z', by: null }
    if (typeof value === 'string') {
      if (FREE.has(key)) return vector
      return key === 'id' && index > 0 ? `${value}-${index}` : value
    }
    if (key === 'input' && typeof value !== 'number') return { command: vector, [vector]: vector }
    if (key === 'number' && typeof value === 'number' && index > 0) return value + index * 1_000
    if (key === 'pullRequest' && typeof value === 'number') return value + index
    if (Array.isArray(value)) {
      const [first] = value
      if (first === undefined) return value
      // A list within a list has the vector of its item, or there would be thousands.
      return within
        ? [plant(first, key, vector, 0, true)]
        : vectors.map((each, at) => plant(first, key, each, at, true))
    }
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, plant(inner, name, vector, index, within)]),
    )
  }
  return plant(answer, '', vectors[0] ?? '', 0, false)
}

/** A log in which every kind of event holds every vector. */
export function logOf(vectors: readonly string[], person: string): LogEvent[] {
  const at = '2026-11-28T05:00:00.000Z'
  const events: LogEvent[] = []
  const put = (payload: { type: string } & Record<string, unknown>) =>
    events.push({ number: events.length + 1, at, kind: payload.type, payload })
  put({
    type: 'run_state',
    run: 'run',
    action: 'action',
    action_kind: 'plan',
    step: null,
    state: 'running',
    message: null,
  })
  for (const [index, v] of vectors.entries()) {
    const call = `call-${index}`
    put({ type: 'message', from: { who: 'person', user: person }, run: null, text: v })
    put({ type: 'text', run: 'run', delta: v })
    put({ type: 'message', from: { who: 'agent' }, run: 'run', text: v })
    put({
      type: 'tool_started',
      run: 'run',
      call,
      tool: v,
      kind: index % 2 ? 'execute' : 'edit',
      title: v,
      input: { command: v, old_string: v, new_string: v, file_path: v, [v]: v },
    })
    put({ type: 'tool_finished', run: 'run', call, ok: index % 2 === 0, output: v })
    put({
      type: 'question',
      request: `ask-${index}`,
      ask: {
        kind: 'question',
        tool_use_id: 't',
        questions: [{ question: v, header: v, options: [{ label: v, description: v }] }],
      },
    })
    put({
      type: 'answer',
      request: `ask-${index}`,
      from: { who: 'person', user: person },
      answer: { answer: 'answers', answers: { [v]: v } },
    })
    put({
      type: 'question',
      request: `may-${index}`,
      ask: { kind: 'permission', tool: v, input: { [v]: v }, reason: v, tool_use_id: 't' },
    })
    put({
      type: 'answer',
      request: `may-${index}`,
      from: { who: 'person', user: person },
      answer: { answer: 'deny', reason: v },
    })
    put({
      type: 'question',
      request: `open-${index}`,
      ask: { kind: 'publish', options: [{ label: v, description: v }] },
    })
    put({
      type: 'check_result',
      run: 'run',
      step: null,
      name: v,
      command: v,
      exit_code: 1,
      duration_ms: 5,
      killed: index % 2 ? v : null,
      log: v,
      tail: v,
    })
    put({
      type: 'change_state',
      change: `change-${index}`,
      state: 'draft',
      branch: v,
      head: v,
      pull_request: 17,
      title: v,
    })
    put({ type: 'step_state', step: `step-${index}`, number: v, title: v, state: 'failed', reason: v })
    put({
      type: 'step_state',
      step: `skipped-${index}`,
      number: v,
      title: v,
      state: 'completed',
      reason: 'skipped',
      why: v,
    })
    put({ type: 'sandbox_state', state: 'ready', detail: v })
    put({
      type: 'knowledge',
      run: 'run',
      used: [{ id: `known-${index}`, kind: 'persona', title: v, version: 1 }],
      left_out: [{ id: `left-${index}`, kind: 'context_file', title: v, version: 1 }],
    })
    put({
      type: 'learned',
      run: 'run',
      moment: v,
      learned: [{ id: `learned-${index}`, kind: 'learning', title: v, version: 1 }],
    })
    put({ type: 'note', level: 'warning', text: v })
    put({ type: 'of_a_newer_server', text: v, [v]: v })
  }
  put({
    type: 'run_state',
    run: 'run',
    action: 'action',
    action_kind: 'plan',
    step: null,
    state: 'failed',
    reason: vectors[0],
    message: vectors[0],
  })
  return events
}
