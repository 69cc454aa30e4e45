import { describe, expect, it } from 'vitest'
import { pairs, parseDiff } from './diff'

const DIFF = `diff --git a/a.txt b/a.txt
index 1..2 100644
--- a/a.txt
+++ b/a.txt
@@ -1,3 +1,3 @@ fn main()
 same
--- looks like a heading
+++ and this too
 end
\\ No newline at end of file
diff --git a/old name.rs b/new name.rs
similarity index 100%
rename from old name.rs
rename to new name.rs
diff --git "a/\\303\\244.txt" "b/\\303\\244.txt"
new file mode 100644
--- /dev/null
+++ "b/\\303\\244.txt"
@@ -0,0 +1 @@
+x
diff --git a/p.png b/p.png
Binary files a/p.png and b/p.png differ
`

describe('a unified diff', () => {
  const files = parseDiff(DIFF)

  it('has its files, with names as git quotes them', () => {
    expect(files.map(({ path, status, from }) => [path, status, from])).toEqual([
      ['a.txt', 'changed', null],
      ['new name.rs', 'moved', 'old name.rs'],
      ['ä.txt', 'added', null],
      ['p.png', 'binary', null],
    ])
  })

  it('counts lines on both sides, and is not fooled by lines that look like headings', () => {
    const [hunk] = files[0]?.hunks ?? []
    expect(hunk?.heading).toBe('fn main()')
    expect(hunk?.lines.map(({ kind, before, after, text }) => [kind, before, after, text])).toEqual([
      ['same', 1, 1, 'same'],
      ['removed', 2, null, '-- looks like a heading'],
      ['added', null, 2, '++ and this too'],
      ['same', 3, 3, 'end'],
      ['note', null, null, 'No newline at end of file'],
    ])
    expect(files[0]).toMatchObject({ added: 1, removed: 1 })
  })

  it('puts removed beside added', () => {
    const found = pairs(files[0]?.hunks[0]?.lines ?? [])
    expect(found[1]).toMatchObject({ left: { kind: 'removed' }, right: { kind: 'added' } })
    expect(found).toHaveLength(4)
  })

  it('is nothing for nothing', () => {
    expect(parseDiff('')).toEqual([])
  })
})
