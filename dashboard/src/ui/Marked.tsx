import { Text } from './Text'

/** The words of a search that may stand in what is found: without `state:` and its like, quoted ones together. */
export function wordsOf(search: string): string[] {
  const words = search.match(/[^\s"]*"[^"]*"?|[^\s"]+/g) ?? []
  return words
    .filter((word) => !/^(?:state|author|repo|branch):/i.test(word))
    .map((word) => word.replaceAll('"', '').trim().toLowerCase())
    .filter((word) => word !== '')
}

/** The text in parts, each with whether one of the words stands there. */
export function parted(text: string, words: readonly string[]): { text: string; marked: boolean }[] {
  const small = text.toLowerCase()
  // Some letters become two when they are made small; then nobody could say where a word stands.
  const found = small.length === text.length ? words : []
  const marked = new Uint8Array(text.length)
  for (const word of found)
    for (let at = small.indexOf(word); at !== -1; at = small.indexOf(word, at + 1))
      marked.fill(1, at, at + word.length)
  const parts: { text: string; marked: boolean }[] = []
  for (let from = 0; from < text.length; ) {
    let to = from + 1
    while (to < text.length && marked[to] === marked[from]) to += 1
    parts.push({ text: text.slice(from, to), marked: marked[from] === 1 })
    from = to
  }
  return parts
}

/** Text in which the words that were looked for are marked. */
export function Marked({ marks, children }: { marks: readonly string[]; children: string }) {
  if (marks.length === 0) return <Text>{children}</Text>
  let at = 0
  return parted(children, marks).map(({ text, marked }) => {
    const key = at
    at += text.length
    return marked ? (
      <mark key={key}>
        <Text>{text}</Text>
      </mark>
    ) : (
      <Text key={key}>{text}</Text>
    )
  })
}
