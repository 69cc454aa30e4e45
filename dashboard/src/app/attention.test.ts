import { describe, expect, it } from 'vitest'
import { news } from './attention'
import type { SessionLine } from './queries'

const line = (kind: SessionLine['phase']['kind'], step: string | null = null): SessionLine => ({
  number: 7,
  title: 'Upgrade',
  repository: 'backend',
  completed: 0,
  total: 3,
  cost: 0,
  createdAt: '2026-11-28T10:00:00Z',
  archived: false,
  phase: { kind, step, action: null, message: null, reason: null },
})

describe('what one is called for', () => {
  it('is that something waits, failed or is done, once', () => {
    expect(news(line('PLANNING'), line('WAITING'))).toBe('waits for an answer')
    expect(news(line('WAITING'), line('WAITING'))).toBeNull()
    expect(news(line('EXECUTING'), line('FAILED', '1.2'))).toBe('failed at step 1.2')
    expect(news(line('EXECUTING'), line('COMPLETED'))).toBe('is done and can be reviewed')
    expect(news(line('PLANNING'), line('PLAN_FAILED'))).toBe('could not be planned')
    expect(news(line('PLANNING'), line('PLANNED'))).toBe('has a plan to look at')
  })

  it('is what became of a new one before one heard of it', () => {
    expect(news(null, line('WAITING'))).toBe('waits for an answer')
    expect(news(null, line('PLANNED'))).toBe('has a plan to look at')
    expect(news(null, line('PLANNING'))).toBeNull()
  })

  it('is not what goes on', () => {
    expect(news(line('PLANNED'), line('EXECUTING'))).toBeNull()
    expect(news(line('EXECUTING'), line('PLANNED'))).toBeNull()
  })
})
