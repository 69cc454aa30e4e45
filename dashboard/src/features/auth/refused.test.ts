import { describe, expect, it } from 'vitest'
import { refusal } from './refused'

describe('refusal', () => {
  it('has a sentence and a next step for every word of the server', () => {
    const words = [
      'expired',
      'denied',
      'unreachable',
      'provider',
      'untrusted',
      'unverified',
      'uninvited',
      'taken',
      'sent-away',
      'too-many',
      'unavailable',
    ]
    for (const word of words) {
      const told = refusal(word)
      expect(told, word).toBeDefined()
      for (const sentence of told ?? []) expect(sentence, word).toMatch(/^[A-Z].*[.)]$/)
    }
  })

  it('has none for a word that somebody made up', () => {
    for (const word of [undefined, '', 'toString', '__proto__', 'Your account was hacked, call …'])
      expect(refusal(word)).toBeUndefined()
  })
})
