import { defaultKeymap, history, historyKeymap } from '@codemirror/commands'
import { markdown } from '@codemirror/lang-markdown'
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language'
import { type Diagnostic, linter, lintGutter } from '@codemirror/lint'
import { Annotation, EditorState, type Extension } from '@codemirror/state'
import { drawSelection, EditorView, highlightSpecialChars, keymap, lineNumbers } from '@codemirror/view'
import { tags } from '@lezer/highlight'
import { useEffect, useRef } from 'react'

const FROM_OUTSIDE = Annotation.define<boolean>()

const LOOK = EditorView.theme({
  '&': { fontSize: 'var(--text-s)', backgroundColor: 'var(--surface)', color: 'var(--text)' },
  '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
  '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55' },
  '.cm-content': { padding: '8px 0', caretColor: 'var(--text)' },
  '.cm-gutters': { backgroundColor: 'var(--surface)', color: 'var(--faint)', border: 'none' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
    backgroundColor: 'light-dark(#cfd9ff, #34437f)',
  },
  '.cm-tooltip': {
    backgroundColor: 'var(--surface)',
    color: 'var(--text)',
    border: '1px solid var(--line)',
    borderRadius: 'var(--radius)',
    boxShadow: 'var(--shadow)',
  },
  '.cm-specialChar': { color: 'var(--wait)', backgroundColor: 'var(--wait-soft)' },
  '.cm-panels': { backgroundColor: 'var(--sunken)', color: 'var(--text)' },
  '.cm-changedLine': { backgroundColor: 'var(--added) !important' },
  '.cm-deletedChunk': { backgroundColor: 'var(--removed) !important' },
})

const HIGHLIGHT = HighlightStyle.define([
  { tag: tags.heading, fontWeight: '600', color: 'var(--accent)' },
  { tag: tags.strong, fontWeight: '700' },
  { tag: tags.emphasis, fontStyle: 'italic' },
  { tag: [tags.monospace, tags.link, tags.url], color: 'var(--done)' },
  { tag: [tags.processingInstruction, tags.meta, tags.quote], color: 'var(--muted)' },
])

/** What every editor has. */
export const editorBasics: Extension = [
  lineNumbers(),
  highlightSpecialChars({
    // Beside the usual ones: tags and other characters that nobody sees.
    addSpecialChars: /[\u180B-\u180F\u2060-\u206F\u3164\uFFA0]|[\u{E0000}-\u{E0FFF}]/gu,
  }),
  drawSelection(),
  EditorView.lineWrapping,
  markdown(),
  syntaxHighlighting(HIGHLIGHT),
  LOOK,
]

/**
 * Where an editor is mounted: in a shadow root, because there CodeMirror uses constructed style sheets. In the document
 * itself it would make style elements, which the content policy forbids.
 */
export function shadowOf(place: HTMLElement): ShadowRoot {
  const root = place.shadowRoot ?? place.attachShadow({ mode: 'open' })
  root.replaceChildren()
  return root
}

export interface Problem {
  severity: string
  message: string
  help?: string | null
  line: number
  column: number
}

interface Props {
  label: string
  text: string
  onChange?: (text: string) => void
  /** Finds problems in the text; asked a while after the last key. */
  check?: (text: string) => Promise<readonly Problem[]>
  onProblems?: (problems: readonly Problem[]) => void
  onSave?: () => void
  autoFocus?: boolean
}

export function CodeEditor({ label, text, autoFocus, ...handlers }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const view = useRef<EditorView>(null)
  const latest = useRef(handlers)
  latest.current = handlers
  const first = useRef({ text, autoFocus })
  // What was typed and has not come back as `text` yet: the page may draw later than one types.
  const typed = useRef<string[]>([])

  useEffect(() => {
    const { onChange } = latest.current
    const save = () => {
      latest.current.onSave?.()
      return true
    }
    if (!place.current) return
    const root = shadowOf(place.current)
    const made = new EditorView({
      parent: root,
      root,
      state: EditorState.create({
        doc: first.current.text,
        extensions: [
          editorBasics,
          history(),
          lintGutter(),
          // Tab leaves the editor, as in any other field: nobody is caught in it.
          keymap.of([
            { key: 'Mod-s', run: save },
            { key: 'Mod-Enter', run: save },
            ...defaultKeymap,
            ...historyKeymap,
          ]),
          EditorView.contentAttributes.of({ 'aria-label': label }),
          EditorState.readOnly.of(onChange === undefined),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged || update.transactions.some((each) => each.annotation(FROM_OUTSIDE)))
              return
            const now = update.state.doc.toString()
            typed.current.push(now)
            latest.current.onChange?.(now)
          }),
          latest.current.check ? linter((view) => diagnose(view, latest.current), { delay: 350 }) : [],
        ],
      }),
    })
    view.current = made
    if (first.current.autoFocus) made.focus()
    return () => made.destroy()
  }, [label])

  // Another text from outside, such as an older version that was chosen.
  useEffect(() => {
    const editor = view.current
    const own = typed.current.lastIndexOf(text)
    if (own >= 0) {
      typed.current.splice(0, own + 1)
      return
    }
    typed.current = []
    if (editor && editor.state.doc.toString() !== text)
      editor.dispatch({
        changes: { from: 0, to: editor.state.doc.length, insert: text },
        annotations: FROM_OUTSIDE.of(true),
      })
  }, [text])

  return <div className="editor" ref={place} />
}

async function diagnose(
  view: EditorView,
  { check, onProblems }: Omit<Props, 'label' | 'text'>,
): Promise<Diagnostic[]> {
  const doc = view.state.doc
  // Without an answer nothing is known, which is not the same as no problem: the old marks go, saving still checks.
  const problems = (await check?.(doc.toString()).catch(() => [])) ?? []
  onProblems?.(problems)
  return problems.map((problem) => {
    const line = doc.line(Math.min(Math.max(problem.line, 1), doc.lines))
    const from = Math.min(line.from + Math.max(problem.column - 1, 0), line.to)
    return {
      from,
      to: line.to,
      severity: problem.severity === 'error' ? 'error' : 'warning',
      message: problem.help ? `${problem.message}\n${problem.help}` : problem.message,
    }
  })
}
