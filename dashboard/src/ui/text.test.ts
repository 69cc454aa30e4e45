import { describe, expect, it } from 'vitest'
import { ansi } from './ansi'
import { marked, pieces } from './safe-text'

const plain = (source: string) =>
  ansi(source)
    .map((span) => span.text)
    .join('')

describe('characters that one does not see', () => {
  it('are marked: overrides, zero width, tags, fillers, controls', () => {
    expect(marked('a\u202Eb')).toBe('a⟨U+202E⟩b')
    expect(marked('pay\u200Bpal \u{E0041} \u3164 \u0007')).toBe('pay⟨U+200B⟩pal ⟨U+E0041⟩ ⟨U+3164⟩ ⟨U+0007⟩')
    expect(marked('\u2066x\u2069 \uFEFF')).toBe('⟨U+2066⟩x⟨U+2069⟩ ⟨U+FEFF⟩')
    expect(pieces('a\u202Eb')[1]).toEqual({ text: 'U+202E', hidden: 'U+202E right-to-left override' })
  })

  it('leave honest text alone: tabs, lines, accents, Hebrew, emoji with joiners', () => {
    const honest = 'naïve\tשלום\n👩\u200D💻 ❤\uFE0F 日本'
    expect(marked(honest)).toBe(honest)
    expect(pieces(honest)).toEqual([{ text: honest, hidden: undefined }])
  })

  it('a joiner between letters is marked', () => {
    expect(marked('ad\u200Dmin')).toBe('ad⟨U+200D⟩min')
  })
})

describe("a process's output", () => {
  it('keeps colours as class names', () => {
    expect(ansi('a\u001b[1;31mb\u001b[0mc')).toEqual([
      { text: 'a', style: '' },
      { text: 'b', style: 'fg-1 bold' },
      { text: 'c', style: '' },
    ])
    expect(ansi('\u001b[38;5;196mx\u001b[48;2;0;0;255my')).toEqual([
      { text: 'x', style: 'fg-9' },
      { text: 'y', style: 'fg-9 bg-12' },
    ])
  })

  it.each([
    ['a link', 'see \u001b]8;;javascript:alert(1)\u0007here\u001b]8;;\u0007', 'see here'],
    ['the clipboard', 'a\u001b]52;c;ZXZpbA==\u0007b', 'ab'],
    ['a title', 'a\u001b]0;title\u001b\\b', 'ab'],
    ['clearing', 'a\u001b[2J\u001b[Hb', 'ab'],
    ['moving up', 'a\u001b[1Ab', 'ab'],
    ['pictures', 'a\u001bPq#0;2;0;0;0\u001b\\b', 'ab'],
    ['eight bits', 'a\u009b31mb\u009d0;x\u009cc', 'abc'],
    ['a query', 'a\u001b[6n\u001b[c\u001b[?1049hb', 'ab'],
    ['no end', 'a\u001b]0;never ends', 'a'],
    ['half an escape', 'a\u001b[31', 'a'],
    ['overwriting', 'one\rtwo\r\nthree', 'two\nthree'],
  ])('does nothing but text and colours: %s', (_, source, shown) => {
    expect(plain(source)).toBe(shown)
  })

  // Quadratic work, as a first version had, would not end within the hour.
  it('copes with a million colours', { timeout: 120_000 }, () => {
    expect(plain('\u001b[31mx'.repeat(1_000_000))).toHaveLength(1_000_000)
  })
})
