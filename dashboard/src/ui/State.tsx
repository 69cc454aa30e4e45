import type { ReactNode } from 'react'
import { marked } from './safe-text'

/** The glyphs and words of states: one look everywhere, for people who see no colour too. */

export interface Look {
  glyph: string
  tone: '' | 'running' | 'wait' | 'done' | 'failed'
  words: string
}

/** What waits for a person. */
export const WAITS: Look = { glyph: '⏸', tone: 'wait', words: 'waits for you' }

const REASONS: Record<string, string> = {
  CHANGED: '',
  NO_CHANGE: 'no change',
  SKIPPED: 'skipped',
  BY_PERSON: 'by a person',
  ERROR: 'error',
  CHECK: 'check',
  STOPPED: 'stopped',
  BUDGET: 'budget',
  POISON: 'too many crashes',
}

export function stepLook(state: string, reason?: string | null): Look {
  const why = reason ? marked(REASONS[reason.toUpperCase()] ?? reason.toLowerCase()) : ''
  switch (state.toUpperCase()) {
    case 'QUEUED':
      return { glyph: '◔', tone: '', words: 'queued' }
    case 'IN_PROGRESS':
      return { glyph: '◐', tone: 'running', words: 'running' }
    case 'WAITING':
      return { glyph: '⏸', tone: 'wait', words: 'waits for you' }
    case 'COMPLETED':
      return { glyph: '✓', tone: 'done', words: why ? `done, ${why}` : 'done' }
    case 'FAILED':
      return reason?.toUpperCase() === 'STOPPED'
        ? { glyph: '■', tone: 'failed', words: 'stopped' }
        : { glyph: '✗', tone: 'failed', words: why ? `failed: ${why}` : 'failed' }
    default:
      return { glyph: '○', tone: '', words: 'not started' }
  }
}

export interface PhaseLike {
  kind: string
  step?: string | null
  action?: string | null
  reason?: string | null
}

const ACTIONS: Record<string, string> = {
  plan: 'planning',
  answer: 'answering',
  revise: 'revising',
  rework: 'reworking',
  execute_step: 'executing',
  revert_step: 'reverting',
  resolve_conflict: 'resolving a conflict',
  finish: 'finishing',
}

export const actionWords = (kind: string): string =>
  (Object.hasOwn(ACTIONS, kind) ? ACTIONS[kind] : undefined) ?? kind.replaceAll('_', ' ')

export function phaseLook(phase: PhaseLike): Look {
  const step = phase.step ? ` ${phase.step}` : ''
  switch (phase.kind) {
    case 'WAITING':
      return { glyph: '⏸', tone: 'wait', words: 'waits for you' }
    case 'PLANNING':
      return { glyph: '◐', tone: 'running', words: 'planning' }
    case 'EXECUTING':
      return { glyph: '◐', tone: 'running', words: `executing${step}` }
    case 'WORKING':
      return { glyph: '◐', tone: 'running', words: phase.action ? actionWords(phase.action) : 'working' }
    case 'QUEUED':
      return { glyph: '◔', tone: '', words: 'queued' }
    case 'PLAN_FAILED':
      return { glyph: '✗', tone: 'failed', words: 'planning failed' }
    case 'FAILED':
      return phase.reason === 'STOPPED'
        ? { glyph: '■', tone: 'failed', words: `stopped at${step || ' a step'}` }
        : { glyph: '✗', tone: 'failed', words: `failed at${step || ' a step'}` }
    case 'PLANNED':
      return { glyph: '○', tone: '', words: 'planned, ready to execute' }
    case 'COMPLETED':
      return { glyph: '✓', tone: 'done', words: 'completed' }
    default:
      return { glyph: '○', tone: '', words: phase.kind.toLowerCase().replaceAll('_', ' ') }
  }
}

export function changeLook(state: string): Look {
  switch (state.toUpperCase()) {
    case 'MERGED':
      return { glyph: '✓', tone: 'done', words: 'merged' }
    case 'CLOSED':
      return { glyph: '✗', tone: 'failed', words: 'closed' }
    case 'OPEN':
      return { glyph: '◐', tone: 'running', words: 'open' }
    case 'DRAFT':
      return { glyph: '○', tone: '', words: 'draft' }
    default:
      return { glyph: '○', tone: '', words: 'branch' }
  }
}

/** The glyphs as drawings: fonts draw them in many sizes, or not at all. */
const DRAWN: Record<string, ReactNode> = {
  '○': <circle cx="8" cy="8" r="5.25" />,
  '◔': (
    <>
      <circle cx="8" cy="8" r="5.25" />
      <path className="filled" d="M8 8V2.75A5.25 5.25 0 0 1 13.25 8z" />
    </>
  ),
  '◐': (
    <>
      <circle cx="8" cy="8" r="5.25" />
      <path className="filled" d="M8 2.75a5.25 5.25 0 0 0 0 10.5z" />
    </>
  ),
  '✓': <path d="m3.5 8.5 3 3 6-7" />,
  '✗': <path d="m4 4 8 8m0-8-8 8" />,
  '■': <rect className="filled" x="4" y="4" width="8" height="8" rx="1" />,
  '⏸': <path className="thick" d="M5.5 4v8m5-8v8" />,
}

/** The glyph; its words for screen readers unless they stand beside it. */
export function State({ look, silent = false }: { look: Look; silent?: boolean }) {
  const drawn = DRAWN[look.glyph]
  return (
    <span className={`state ${look.tone}`} title={look.words}>
      {drawn ? (
        <svg viewBox="0 0 16 16" aria-hidden="true" focusable="false">
          {drawn}
        </svg>
      ) : (
        <span aria-hidden="true">{look.glyph}</span>
      )}
      {silent ? null : <span className="visually-hidden">{look.words}</span>}
    </span>
  )
}
