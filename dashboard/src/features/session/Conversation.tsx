import { ArrowDown, SendHorizontal } from 'lucide-react'
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { useCommands } from '../../app/commands'
import { words } from '../../graphql/errors'
import { Button, Problem } from '../../ui/controls'
import { useDraft } from '../../ui/draft'
import { useAct } from './actions'
import { useSession } from './context'
import { fold, type Row } from './conversation'
import { EntryRow } from './EntryRow'
import { Typing } from './Here'
import type { Snapshot } from './log'
import { useTyping } from './presence'

/** How many rows are laid out at first, and how many more at each wish; a morning's reading, and fast. */
const WINDOW = 150
/** How near to the end counts as being there, in pixels. */
const NEAR = 48

interface Props {
  log: Snapshot & { again: () => void }
  /** The event that a link leads to. */
  at: number | undefined
}

export function Conversation({ log, at }: Props) {
  const { conversation, loaded, failed } = log
  const rows = useMemo(() => fold(conversation.entries), [conversation.entries])
  const [shown, setShown] = useState(WINDOW)
  const feed = useRef<HTMLDivElement>(null)
  const inside = useRef<HTMLDivElement>(null)
  const following = useRef(at === undefined)
  /** Where the box was when it last scrolled, to tell a person's scrolling from what grows or shrinks by itself. */
  const was = useRef({ top: 0, height: 0 })
  const [seen, setSeen] = useState<number | null>(null)

  const target = at === undefined ? -1 : rows.findLastIndex((row) => row.key <= at)
  const from = Math.max(0, Math.min(rows.length - shown, target === -1 ? rows.length : target - 20))
  const visible = rows.slice(from)

  // Before paint, so that nobody sees the jump.
  // biome-ignore lint/correctness/useExhaustiveDependencies: new entries are the reason to follow
  useLayoutEffect(() => {
    const box = feed.current
    if (box && following.current) box.scrollTop = box.scrollHeight
  }, [conversation, loaded])

  useEffect(() => {
    const box = feed.current
    if (!box || !inside.current) return
    // The box or what is in it may change its size without news: a wider window, an opened call, a loaded part.
    const sized = new ResizeObserver(() => {
      if (following.current) box.scrollTop = box.scrollHeight
    })
    sized.observe(box)
    sized.observe(inside.current)
    return () => sized.disconnect()
  }, [])

  useEffect(() => {
    if (!loaded || at === undefined) return
    document.getElementById(`e${at}`)?.scrollIntoView({ block: 'center' })
  }, [loaded, at])

  const toEnd = () => {
    following.current = true
    setSeen(null)
    const box = feed.current
    if (box) box.scrollTop = box.scrollHeight
  }
  const onScroll = () => {
    const box = feed.current
    if (!box) return
    const { scrollTop: top, scrollHeight: height } = box
    const near = height - top - box.clientHeight < NEAR
    const byPerson = top < was.current.top && height === was.current.height
    was.current = { top, height }
    if (near === following.current || (!near && !byPerson)) return
    following.current = near
    setSeen(near ? null : (rows.at(-1)?.key ?? 0))
  }
  const fresh = seen === null ? 0 : rows.length - 1 - rows.findLastIndex((row) => row.key <= seen)
  useCommands([{ id: 'to-end', title: 'Newest entry', group: 'Conversation', keys: 'g e', run: toEnd }])

  return (
    <>
      <div className="feed-box">
        <div
          className="feed"
          ref={feed}
          onScroll={onScroll}
          role="log"
          aria-live="off"
          aria-label="Conversation"
          tabIndex={0}
        >
          <div ref={inside}>
            {failed ? (
              <Problem
                action={
                  <Button look="small" onClick={log.again}>
                    Try again
                  </Button>
                }
              >
                {words(failed)}
              </Problem>
            ) : null}
            {!loaded && !failed ? <p className="muted feed-note">Reading what happened so far …</p> : null}
            {from > 0 ? (
              <p className="feed-note">
                <Button look="small" onClick={() => setShown(rows.length - from + WINDOW)}>
                  Show earlier ({from})
                </Button>
              </p>
            ) : null}
            {visible.map((row, index) => (
              <EntryRow
                key={row.key}
                row={row}
                follows={sameAuthor(visible[index - 1], row)}
                runs={conversation.runs}
                marked={row.key === at}
              />
            ))}
          </div>
        </div>
        {fresh > 0 ? (
          <button type="button" className="pill" onClick={toEnd}>
            <ArrowDown size={14} /> {fresh} new
          </button>
        ) : null}
      </div>
      <Composer onSent={toEnd} />
    </>
  )
}

/** The run or person that a row belongs to, for rows that may stand under one name. */
function authorOf(row: Row | undefined): string | null {
  if (!row) return null
  const entry = row.kind === 'reads' ? row.tools[0] : row.entry
  if (entry?.kind === 'tool') return `agent ${entry.run}`
  if (entry?.kind === 'message')
    return entry.from.who === 'person' ? `person ${entry.from.user}` : `${entry.from.who} ${entry.run}`
  return null
}

const sameAuthor = (before: Row | undefined, row: Row): boolean => {
  const author = authorOf(row)
  return author !== null && author === authorOf(before)
}

function Composer({ onSent }: { onSent: () => void }) {
  const { session, actions } = useSession()
  const [text, setText] = useDraft(`message.${session.number}`)
  const send = useAct(session.number, true)
  const box = useRef<HTMLTextAreaElement>(null)
  useCommands([
    {
      id: 'message',
      title: 'Write a message',
      group: 'Conversation',
      keys: 'm',
      run: () => box.current?.focus(),
    },
  ])
  const typing = useTyping(session.number)
  const submit = () => {
    if (text.trim() === '' || send.isPending) return
    // The text leaves the box only once it is kept on the server.
    send.mutate(() => actions.send(text), {
      onSuccess: () => {
        setText('')
        typing(false)
        onSent()
      },
    })
  }
  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault()
        submit()
      }}
    >
      {send.error ? (
        <p className="problem" role="alert">
          {words(send.error)}
        </p>
      ) : null}
      <div className="composer-box">
        <textarea
          ref={box}
          rows={1}
          aria-label="Message"
          placeholder="Message: ask, correct, or change the plan"
          value={text}
          onChange={(event) => {
            setText(event.target.value)
            typing(event.target.value.trim() !== '')
          }}
          onBlur={() => typing(false)}
          onKeyDown={(event) => {
            if (event.key === 'Enter' && !event.shiftKey && !event.nativeEvent.isComposing) {
              event.preventDefault()
              submit()
            } else if (event.key === 'Escape') box.current?.blur()
          }}
        />
        <Button
          type="submit"
          look="primary icon"
          aria-label="Send"
          title="Send (Enter)"
          disabled={text.trim() === '' || send.isPending}
        >
          <SendHorizontal size={15} />
        </Button>
      </div>
      <Typing />
    </form>
  )
}
