/** What a terminal would show of a process's output, as text with colours; everything else that it could do is dropped. */

export interface Span {
  text: string
  /** Class names such as `fg-1 bold`; empty for plain text. */
  style: string
}

// OSC, DCS, SOS, PM and APC strings up to their end (or the end of the text), CSI sequences, other escapes; 7 and 8 bit.
const ESCAPES =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  /(?:\u001b[\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c|$)|(?:\u001b\[|\u009b)([0-9;:<=>?]*)[ -/]*([@-~]|$)|\u001b[ -/]*[0-~]?/g

interface Look {
  fg: number | null
  bg: number | null
  bold: boolean
  dim: boolean
  italic: boolean
  underline: boolean
}

const PLAIN: Look = { fg: null, bg: null, bold: false, dim: false, italic: false, underline: false }

/** The nearest of the 16 colours that the page has for both themes. */
function of256(n: number): number {
  if (n < 16) return n
  if (n >= 232) return n < 244 ? 8 : 7
  const cube = n - 16
  return of24(Math.floor(cube / 36) * 51, (Math.floor(cube / 6) % 6) * 51, (cube % 6) * 51)
}

function of24(r: number, g: number, b: number): number {
  const strongest = Math.max(r, g, b)
  if (strongest < 64) return 8
  const on = (value: number) => (value > strongest / 2 ? 1 : 0)
  return on(r) + on(g) * 2 + on(b) * 4 + (strongest > 200 ? 8 : 0)
}

function extended(codes: number[]): number | null {
  const kind = codes.shift()
  if (kind === 5) return of256(Math.min(255, codes.shift() ?? 0))
  if (kind === 2) return of24(codes.shift() ?? 0, codes.shift() ?? 0, codes.shift() ?? 0)
  return null
}

function select(look: Look, parameters: string): Look {
  const codes = parameters === '' ? [0] : parameters.split(/[;:]/).map((code) => Number(code) || 0)
  let next = { ...look }
  while (codes.length > 0) {
    const code = codes.shift() ?? 0
    if (code === 0) next = { ...PLAIN }
    else if (code === 1) next.bold = true
    else if (code === 2) next.dim = true
    else if (code === 3) next.italic = true
    else if (code === 4) next.underline = true
    else if (code === 22) next.bold = next.dim = false
    else if (code === 23) next.italic = false
    else if (code === 24) next.underline = false
    else if (code >= 30 && code <= 37) next.fg = code - 30
    else if (code === 38) next.fg = extended(codes)
    else if (code === 39) next.fg = null
    else if (code >= 40 && code <= 47) next.bg = code - 40
    else if (code === 48) next.bg = extended(codes)
    else if (code === 49) next.bg = null
    else if (code >= 90 && code <= 97) next.fg = code - 82
    else if (code >= 100 && code <= 107) next.bg = code - 92
  }
  return next
}

function classes(look: Look): string {
  const names: string[] = []
  if (look.fg !== null) names.push(`fg-${look.fg}`)
  if (look.bg !== null) names.push(`bg-${look.bg}`)
  for (const name of ['bold', 'dim', 'italic', 'underline'] as const) if (look[name]) names.push(name)
  return names.join(' ')
}

/** A line that was written over shows what was written last, as a progress bar does. */
function overwritten(text: string): string {
  if (!text.includes('\r')) return text
  return text
    .split('\n')
    .map((line) => {
      const kept = line.replace(/\r+$/, '')
      return kept.slice(kept.lastIndexOf('\r') + 1)
    })
    .join('\n')
}

/** So many changes of colour are drawn; each is an element, and nobody reads what changes more often. */
const MOST_SPANS = 2_000

export function ansi(source: string): Span[] {
  const text = overwritten(source)
  const spans: Span[] = []
  let look = PLAIN
  let from = 0
  const put = (piece: string) => {
    if (piece === '') return
    const style = classes(look)
    const before = spans.at(-1)
    if (before && (before.style === style || spans.length >= MOST_SPANS)) before.text += piece
    else spans.push({ text: piece, style })
  }
  for (const match of text.matchAll(ESCAPES)) {
    put(text.slice(from, match.index))
    from = match.index + match[0].length
    const [, parameters, final] = match
    if (final === 'm' && parameters !== undefined && !/[<=>?]/.test(parameters))
      look = select(look, parameters)
  }
  put(text.slice(from))
  return spans
}
