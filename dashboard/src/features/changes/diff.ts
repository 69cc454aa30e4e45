/** Unified diffs as data. Pure, and never in doubt about a line: what is not understood stays text. */

export interface DiffLine {
  kind: 'same' | 'added' | 'removed' | 'note'
  /** Line numbers, 1-based, on each side. */
  before: number | null
  after: number | null
  text: string
}

export interface Hunk {
  /** What git says of the place, such as the function around it. */
  heading: string
  lines: DiffLine[]
}

export interface DiffFile {
  path: string
  /** Where it was, when it was moved. */
  from: string | null
  status: 'changed' | 'added' | 'removed' | 'moved' | 'binary'
  hunks: Hunk[]
  added: number
  removed: number
}

/** A name as git quotes it: in quotes with escapes when it has odd characters. */
function unquote(name: string): string {
  const quoted = /^"(.*)"$/.exec(name)?.[1]
  if (quoted === undefined) return name.replace(/\t$/, '')
  const bytes: number[] = []
  const simple: Record<string, number> = { n: 10, t: 9, r: 13, a: 7, b: 8, f: 12, v: 11 }
  for (const [part, escaped] of quoted.matchAll(/\\([0-7]{3}|.)|[^\\]/gsu)) {
    if (escaped === undefined) bytes.push(...new TextEncoder().encode(part))
    else if (/^[0-7]{3}$/.test(escaped)) bytes.push(Number.parseInt(escaped, 8))
    else bytes.push(simple[escaped] ?? escaped.charCodeAt(0))
  }
  return new TextDecoder().decode(new Uint8Array(bytes))
}

const sideOf = (line: string): string | null => {
  const name = unquote(line.slice(4))
  return name === '/dev/null' ? null : name.replace(/^[ab]\//, '')
}

export function parseDiff(text: string): DiffFile[] {
  const files: DiffFile[] = []
  let file: DiffFile | undefined
  let hunk: Hunk | undefined
  // What is left of the hunk's announced lengths: only inside them is `---` a removed line and not a heading.
  let [before, after, oldLeft, newLeft] = [0, 0, 0, 0]
  for (const line of text.split('\n')) {
    if (hunk && file && (oldLeft > 0 || newLeft > 0) && /^[ +\-\\]|^$/.test(line)) {
      const text = line.slice(1)
      const sign = line[0] ?? ' '
      if (sign === '+') {
        hunk.lines.push({ kind: 'added', before: null, after: after++, text })
        file.added += 1
        newLeft -= 1
      } else if (sign === '-') {
        hunk.lines.push({ kind: 'removed', before: before++, after: null, text })
        file.removed += 1
        oldLeft -= 1
      } else if (sign === '\\')
        hunk.lines.push({ kind: 'note', before: null, after: null, text: text.trim() })
      else {
        hunk.lines.push({ kind: 'same', before: before++, after: after++, text })
        oldLeft -= 1
        newLeft -= 1
      }
      continue
    }
    if (line.startsWith('diff --git ')) {
      const path = /^diff --git (?:"?a\/.*) ("?b\/.*)$/.exec(line)?.[1] ?? line.slice(11)
      file = {
        path: unquote(path).replace(/^b\//, ''),
        from: null,
        status: 'changed',
        hunks: [],
        added: 0,
        removed: 0,
      }
      files.push(file)
      hunk = undefined
    } else if (file && line.startsWith('@@')) {
      const place = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/.exec(line)
      if (!place) continue
      before = Number(place[1])
      after = Number(place[3])
      oldLeft = Number(place[2] ?? 1)
      newLeft = Number(place[4] ?? 1)
      hunk = { heading: place[5] ?? '', lines: [] }
      file.hunks.push(hunk)
    } else if (hunk && line.startsWith('\\')) {
      hunk.lines.push({ kind: 'note', before: null, after: null, text: line.slice(1).trim() })
    } else if (file && line.startsWith('new file')) file.status = 'added'
    else if (file && line.startsWith('deleted file')) file.status = 'removed'
    else if (file && line.startsWith('rename from ')) {
      file.status = 'moved'
      file.from = unquote(line.slice(12))
    } else if (file && /^(Binary files |GIT binary patch)/.test(line)) file.status = 'binary'
    else if (file && line.startsWith('+++ ')) file.path = sideOf(line) ?? file.path
    else if (file && line.startsWith('--- ') && file.status === 'removed')
      file.path = sideOf(line) ?? file.path
  }
  return files
}

export interface Pair {
  left: DiffLine | null
  right: DiffLine | null
}

/** Lines for two columns: removed beside added, in order. */
export function pairs(lines: readonly DiffLine[]): Pair[] {
  const found: Pair[] = []
  let removed: DiffLine[] = []
  let added: DiffLine[] = []
  const flush = () => {
    for (let index = 0; index < Math.max(removed.length, added.length); index++)
      found.push({ left: removed[index] ?? null, right: added[index] ?? null })
    removed = []
    added = []
  }
  for (const line of lines) {
    if (line.kind === 'removed') {
      if (added.length > 0) flush()
      removed.push(line)
    } else if (line.kind === 'added') added.push(line)
    else {
      flush()
      found.push({ left: line, right: line })
    }
  }
  flush()
  return found
}
