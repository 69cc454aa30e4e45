import { useVirtualizer } from '@tanstack/react-virtual'
import { ChevronRight, MessageSquarePlus } from 'lucide-react'
import { type ReactNode, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { Ago, Button } from '../../ui/controls'
import { Markdown } from '../../ui/Markdown'
import { Text } from '../../ui/Text'
import { type DiffFile, type DiffLine, type Pair, pairs, parseDiff } from './diff'

export interface Thread {
  id: string
  path: string
  line: number
  resolved: boolean
  comments: readonly { id: string; author: string; body: string; createdAt: string }[]
}

interface Place {
  path: string
  line: number
}

type Row =
  | { kind: 'file'; key: string; file: DiffFile; open: boolean }
  | { kind: 'hunk'; key: string; heading: string }
  | { kind: 'line'; key: string; path: string; line: DiffLine }
  | { kind: 'pair'; key: string; path: string; pair: Pair }
  | { kind: 'thread'; key: string; thread: Thread }
  | { kind: 'write'; key: string; place: Place }

/** Files with more lines than that are closed at first: nobody reads a lock file by chance. */
const LARGE = 600

interface Props {
  text: string
  split: boolean
  threads?: readonly Thread[]
  /** Adds a comment at a line of the new side; without it there are no comments. */
  onComment?: (place: Place, body: string) => Promise<unknown>
  /** What scrolls; null until it is there. */
  scroller: HTMLElement | null
}

export function DiffView({ text, split, threads = [], onComment, scroller }: Props) {
  const files = useMemo(() => parseDiff(text), [text])
  const [folded, setFolded] = useState<ReadonlyMap<string, boolean>>(new Map())
  const [writing, setWriting] = useState<Place | null>(null)
  const isOpen = (file: DiffFile) => folded.get(file.path) ?? file.added + file.removed <= LARGE

  const rows: Row[] = []
  for (const file of files) {
    const { path } = file
    const open = isOpen(file)
    rows.push({ kind: 'file', key: path, file, open })
    if (!open) continue
    const after = (line: number | null, key: string) => {
      if (line === null) return
      for (const thread of threads)
        if (thread.path === path && thread.line === line)
          rows.push({ kind: 'thread', key: thread.id, thread })
      if (writing?.path === path && writing.line === line)
        rows.push({ kind: 'write', key: `${key} write`, place: writing })
    }
    for (const [h, hunk] of file.hunks.entries()) {
      rows.push({ kind: 'hunk', key: `${path} ${h}`, heading: hunk.heading })
      if (split)
        for (const [l, pair] of pairs(hunk.lines).entries()) {
          rows.push({ kind: 'pair', key: `${path} ${h} ${l} split`, path, pair })
          after(pair.right?.after ?? null, `${path} ${h} ${l}`)
        }
      else
        for (const [l, line] of hunk.lines.entries()) {
          rows.push({ kind: 'line', key: `${path} ${h} ${l}`, path, line })
          after(line.after, `${path} ${h} ${l}`)
        }
    }
  }

  // What stands above the diff in the same scrolling box, and may grow with every comment.
  const place = useRef<HTMLDivElement>(null)
  const [margin, setMargin] = useState(0)
  useLayoutEffect(() => setMargin(place.current?.offsetTop ?? 0))
  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller,
    scrollMargin: margin,
    estimateSize: (index) => (rows[index]?.kind === 'file' ? 38 : 20),
    getItemKey: (index) => rows[index]?.key ?? index,
    overscan: 30,
  })
  if (files.length === 0) return <p className="empty">Nothing is different.</p>

  const comment = onComment ? (place: Place) => setWriting(place) : undefined
  const draw = (row: Row): ReactNode => {
    switch (row.kind) {
      case 'file':
        return (
          <FileHead
            file={row.file}
            open={row.open}
            onFold={() => setFolded((before) => new Map(before).set(row.file.path, !row.open))}
          />
        )
      case 'hunk':
        return (
          <div className="diff-hunk">
            ⋯ <Text>{row.heading}</Text>
          </div>
        )
      case 'line':
        return <OneLine path={row.path} line={row.line} comment={comment} />
      case 'pair':
        return (
          <div className="diff-pair">
            <Half line={row.pair.left} side="before" />
            <Half line={row.pair.right} side="after" path={row.path} comment={comment} />
          </div>
        )
      case 'thread':
        return <ThreadBox thread={row.thread} />
      case 'write':
        return (
          <Write
            place={row.place}
            onCancel={() => setWriting(null)}
            onSend={async (body) => {
              await onComment?.(row.place, body)
              setWriting(null)
            }}
          />
        )
    }
  }
  return (
    <div className="diff" ref={place} style={{ height: virtual.getTotalSize() }}>
      {virtual.getVirtualItems().map((item) => {
        const row = rows[item.index]
        return row ? (
          <div
            key={item.key}
            ref={virtual.measureElement}
            data-index={item.index}
            className="diff-row"
            style={{ transform: `translateY(${item.start - margin}px)` }}
          >
            {draw(row)}
          </div>
        ) : null
      })}
    </div>
  )
}

function FileHead({ file, open, onFold }: { file: DiffFile; open: boolean; onFold: () => void }) {
  return (
    <button type="button" className="diff-file" aria-expanded={open} onClick={onFold}>
      <ChevronRight size={14} className="chevron" aria-hidden="true" />
      <span className="clip">
        {file.from ? (
          <>
            <Text>{file.from}</Text> →{' '}
          </>
        ) : null}
        <Text>{file.path}</Text>
      </span>
      {file.status === 'changed' ? null : (
        <span className="badge">{file.status === 'added' ? 'new' : file.status}</span>
      )}
      <span className="grow" />
      <span className="plus">+{file.added}</span>
      <span className="minus">−{file.removed}</span>
    </button>
  )
}

const SIGNS = { same: ' ', added: '+', removed: '−', note: ' ' } as const

interface LineProps {
  line: DiffLine
  path: string
  comment: ((place: Place) => void) | undefined
}

function OneLine({ line, path, comment }: LineProps) {
  return (
    <div className={`diff-line ${line.kind}`}>
      <span className="gutter">{line.before}</span>
      <Gutter line={line} path={path} comment={comment} />
      <span className="sign">{SIGNS[line.kind]}</span>
      <code>
        <Text>{line.text}</Text>
      </code>
    </div>
  )
}

function Half({
  line,
  side,
  path = '',
  comment,
}: {
  line: DiffLine | null
  side: 'before' | 'after'
  path?: string
  comment?: LineProps['comment']
}) {
  if (!line) return <div className="diff-line half none" />
  return (
    <div className={`diff-line half ${line.kind}`}>
      {side === 'after' ? (
        <Gutter line={line} path={path} comment={comment} />
      ) : (
        <span className="gutter">{line.before}</span>
      )}
      <span className="sign">{SIGNS[line.kind]}</span>
      <code>
        <Text>{line.text}</Text>
      </code>
    </div>
  )
}

/** The new side's line number: the place to comment on the line. */
function Gutter({ line, path, comment }: LineProps) {
  const { after } = line
  if (!comment || after === null) return <span className="gutter">{after}</span>
  return (
    <button
      type="button"
      className="gutter"
      aria-label={`Comment on line ${after}`}
      onClick={() => comment({ path, line: after })}
    >
      <span className="gutter-number">{after}</span>
      <MessageSquarePlus size={12} aria-hidden="true" />
    </button>
  )
}

function ThreadBox({ thread }: { thread: Thread }) {
  return (
    <section className="thread" aria-label={`Comments on line ${thread.line}`}>
      {thread.comments.map((comment) => (
        <CommentBox key={comment.id} comment={comment} />
      ))}
      {thread.resolved ? <span className="badge">resolved</span> : null}
    </section>
  )
}

export function CommentBox({ comment }: { comment: Thread['comments'][number] }) {
  return (
    <div className="comment">
      <p className="byline">
        <strong>
          <Text>{comment.author}</Text>
        </strong>
        <Ago at={comment.createdAt} className="when" />
      </p>
      <Markdown>{comment.body}</Markdown>
    </div>
  )
}

export function Write({
  place,
  onSend,
  onCancel,
}: {
  place: Place | null
  onSend: (body: string) => Promise<unknown>
  onCancel?: () => void
}) {
  const [body, setBody] = useState('')
  const [busy, setBusy] = useState(false)
  const send = async () => {
    if (body.trim() === '' || busy) return
    setBusy(true)
    // A refusal is told by whoever sends; the text stays here.
    await onSend(body).then(
      () => setBody(''),
      () => {},
    )
    setBusy(false)
  }
  return (
    <form
      className="thread stack"
      onSubmit={(event) => {
        event.preventDefault()
        void send()
      }}
    >
      <textarea
        className="input"
        rows={2}
        aria-label={place ? `Comment on line ${place.line}` : 'Comment'}
        placeholder={place ? 'What should be different here?' : 'Comment on the whole pull request'}
        // biome-ignore lint/a11y/noAutofocus: the person has just asked for this field
        autoFocus={place !== null}
        value={body}
        onChange={(event) => setBody(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) void send()
          if (event.key === 'Escape') onCancel?.()
        }}
      />
      <div className="actions">
        {onCancel ? <Button onClick={onCancel}>Cancel</Button> : null}
        <Button type="submit" disabled={busy || body.trim() === ''}>
          Comment
        </Button>
      </div>
    </form>
  )
}
