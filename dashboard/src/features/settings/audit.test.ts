import { describe, expect, it } from 'vitest'
import { auditSearch, exportAddress, sentence, wantedOf } from './audit'

describe('what the page of the audit log asks for', () => {
  it('takes from an address what it knows and nothing else', () => {
    const search = auditSearch({
      who: 'ada',
      text: 42,
      since: '2026-11-28',
      until: 'soon',
      odd: 'x',
      action: '',
    })
    expect(search).toEqual({ who: 'ada', text: '42', since: '2026-11-28' })
    expect(auditSearch({ since: '2026-99-99' })).toEqual({})
  })

  it('counts the last day whole, in the viewer’s zone', () => {
    const { since, until } = wantedOf({ since: '2026-11-28', until: '2026-11-28' })
    expect(new Date(since ?? '').getHours()).toBe(0)
    expect(new Date(since ?? '').getDate()).toBe(28)
    expect(new Date(until ?? '').getDate()).toBe(29)
  })

  it('leads to the same entries as a file', () => {
    expect(exportAddress('csv', {})).toBe('/download/audit.csv')
    const address = exportAddress('ndjson', { who: 'a&b=c', action: 'person.role' })
    expect(address).toBe('/download/audit.ndjson?who=a%26b%3Dc&action=person.role')
  })

  it('says an action in words', () => {
    expect(sentence('sign_in')).toBe('signed in')
    expect(sentence('sign_in', true)).toBe('tried to sign in')
    expect(sentence('step.mark_done')).toBe('step: mark done')
    expect(sentence('new')).toBe('new')
  })
})
