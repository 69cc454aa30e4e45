/** Characters that one does not see, or that reorder what one sees, as marked escapes. */

export interface Piece {
  text: string
  /** The character's name when this piece stands for one that must be shown. */
  hidden: string | undefined
}

const NAMES: Record<number, string> = {
  173: 'soft hyphen',
  1564: 'Arabic letter mark',
  8203: 'zero width space',
  8204: 'zero width non-joiner',
  8205: 'zero width joiner',
  8206: 'left-to-right mark',
  8207: 'right-to-left mark',
  8234: 'left-to-right embedding',
  8235: 'right-to-left embedding',
  8236: 'pop directional formatting',
  8237: 'left-to-right override',
  8238: 'right-to-left override',
  8288: 'word joiner',
  8294: 'left-to-right isolate',
  8295: 'right-to-left isolate',
  8296: 'first strong isolate',
  8297: 'pop directional isolate',
  65279: 'byte order mark',
}

// Controls but tab and newline, format characters, line and paragraph separators, tags, fillers, lone surrogates.
// A joiner or a variation selector behind a pictograph makes an emoji and stays.
const HIDDEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about
  /(?<!\p{Extended_Pictographic}\uFE0F?)\u200D|(?!\u200D)[\p{Cf}\p{Zl}\p{Zp}]|[\u{E0000}-\u{E0FFF}]|[\u115F\u1160\u3164\uFFA0]|[\u180B-\u180F]|[\u0000-\u0008\u000B-\u001F\u007F-\u009F]|\p{Cs}/gu

function nameOf(char: string): string {
  const code = char.codePointAt(0) ?? 0
  const hex = `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
  return NAMES[code] ? `${hex} ${NAMES[code]}` : hex
}

/** So many are elements of their own with their name; what comes after them is marked in the text. */
const MOST_PIECES = 2_000

export function pieces(text: string): Piece[] {
  const found: Piece[] = []
  let from = 0
  for (const match of text.matchAll(HIDDEN)) {
    if (found.length >= MOST_PIECES) {
      found.push({ text: marked(text.slice(from)), hidden: undefined })
      return found
    }
    if (match.index > from) found.push({ text: text.slice(from, match.index), hidden: undefined })
    found.push({ text: nameOf(match[0]).split(' ', 1)[0] ?? '', hidden: nameOf(match[0]) })
    from = match.index + match[0].length
  }
  if (from < text.length || found.length === 0) found.push({ text: text.slice(from), hidden: undefined })
  return found
}

/** The same in plain text, for places that take no elements: titles, labels, Markdown before it is parsed. */
export function marked(text: string): string {
  return text.replace(HIDDEN, (char) => (char === '\r' ? '' : `⟨${nameOf(char).split(' ', 1)[0]}⟩`))
}
