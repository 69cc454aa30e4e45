import { describe, expect, it } from 'vitest'
import { EVENTS, nameOf } from './webhooks'

describe('events of webhooks', () => {
  it('shows each of them once', () => {
    const shown = EVENTS.flatMap(([, events]) => events.map(([event]) => event))
    expect(shown).toHaveLength(23)
    expect(new Set(shown).size).toBe(23)
  })

  it('names them as they are told', () => {
    expect(nameOf('STEP_NOT_STARTED')).toBe('step.not_started')
    expect(nameOf('PING')).toBe('ping')
  })
})
