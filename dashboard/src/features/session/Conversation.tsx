import { defaultRangeExtractor, type Range, useVirtualizer, type VirtualItem } from '@tanstack/react-virtual'
import { ArrowDown, SendHorizontal } from 'lucide-react'
import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from 'react'
import { useCommands } from '../../app/commands'
import { words } from '../../graphql/errors'
import { Button, Problem } from '../../ui/controls'
import { useDraft } from '../../ui/draft'
import { useAct } from './actions'
import { useSession } from './context'
import { type Entry, fold, type Row } from './conversation'
import { EntryRow } from './EntryRow'
import { Typing } from './Here'
import { OpenedContext } from './opened'
import { useTyping } from './presence'
import type { Held } from './useLog'

/** How near to the end counts as being there, in pixels. */
const NEAR = 48
/** So many rows from an end of what is held, more is fetched. */
const AHEAD = 25
/** Frames in which what one is led to is laid out and in its place. */
const SETTLED = 10
/** Rows beyond what is in sight. */
const OVERSCAN = 8
/** Space above the first and below the last row, in pixels. */
const PADDING = 14

interface Props {
  held: Held
  /** The event that a link leads to. */
  at: number | undefined
}

export function Conversation({ held, at }: Props) {
  const { conversation, loaded, failed, first, newest, reading, log } = held
  const rows = useMemo(() => fold(conversation.entries), [conversation.entries])
  const feed = useRef<HTMLDivElement>(null)
  const inside = useRef<HTMLDivElement>(null)
  const following = useRef(at === undefined)
  /** The newest event when the end was left; null while one is there. */
  const [seen, setSeen] = useState<number | null>(null)
  /** Rows that stay although they are out of sight: what is being filled in or has the focus. */
  const pinned = useRef<number | null>(null)
  const opened = useRef(new Set<number>())
  /** Where the box was when it last scrolled. */
  const was = useRef(0)
  const whole = conversation.last >= newest

  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => feed.current,
    estimateSize: useCallback((index: number) => estimate(rows[index]), [rows]),
    getItemKey: useCallback((index: number) => rows[index]?.key ?? index, [rows]),
    rangeExtractor: useCallback(
      (range: Range) => {
        const shown = defaultRangeExtractor(range)
        const kept = rows.flatMap((row, index) =>
          row.key === pinned.current || (row.kind === 'entry' && isOpenAsk(row.entry)) ? [index] : [],
        )
        return [...new Set([...shown, ...kept])].sort((one, other) => one - other)
      },
      [rows],
    ),
    overscan: OVERSCAN,
    paddingStart: PADDING,
    paddingEnd: PADDING,
    // What is read stays where it is while rows come above it, and the end stays in sight while one is there.
    anchorTo: 'end',
    scrollEndThreshold: NEAR,
  })
  const items = virtual.getVirtualItems()
  const top = virtual.range?.startIndex ?? 0
  const bottom = virtual.range?.endIndex ?? 0
  const isShown = ({ index }: VirtualItem) => index >= top - OVERSCAN && index <= bottom + OVERSCAN
  const shown = items.filter(isShown)
  const rowAt = ({ index, key }: VirtualItem, place?: number) => {
    const row = rows[index]
    return row ? (
      <div
        key={key}
        className={place === undefined ? 'row-box' : 'row-box apart'}
        ref={virtual.measureElement}
        data-index={index}
        style={place === undefined ? undefined : { top: place }}
      >
        <EntryRow
          row={row}
          follows={sameAuthor(rows[index - 1], row)}
          runs={conversation.runs}
          marked={row.key === at}
        />
      </div>
    ) : null
  }

  // Rows that come above while one is led somewhere would change which row that is.
  const [placing, setPlacing] = useState(at !== undefined)
  useEffect(() => {
    if (!loaded || failed || reading || placing || rows.length === 0) return
    if (top < AHEAD && first > 1) void log.earlier()
    else if (bottom > rows.length - AHEAD && !whole) void log.later()
  }, [loaded, failed, reading, placing, rows.length, top, bottom, first, whole, log])

  /** Where a link leads, until it is in sight. */
  const wanted = useRef(at)
  useEffect(() => {
    wanted.current = at
    setPlacing(at !== undefined)
    if (at !== undefined) void log.go(at)
  }, [at, log])
  // Before paint, so that nobody sees the jump.
  useLayoutEffect(() => {
    const to = wanted.current
    if (!loaded || to === undefined || to < first || to > conversation.last) return
    const index = rows.findLastIndex((row) => row.key <= to)
    wanted.current = undefined
    afterFrames(SETTLED, () => setPlacing(false))
    if (index === -1) return
    following.current = false
    log.follow(false)
    virtual.scrollToIndex(index, { align: 'center' })
  }, [loaded, first, conversation.last, rows, virtual, log])

  const toEnd = () => {
    following.current = true
    log.follow(true)
    setSeen(null)
    setPlacing(false)
    wanted.current = undefined
    void log.go().then(() => requestAnimationFrame(() => virtual.scrollToEnd()))
  }
  const toBeginning = () => {
    // Whoever follows the end would be taken back to it by the first entry that comes.
    following.current = false
    log.follow(false)
    setSeen(newest)
    setPlacing(false)
    wanted.current = undefined
    void log.go(1).then(() => requestAnimationFrame(() => virtual.scrollToIndex(0)))
  }
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
    sized.observe(inside.current, { box: 'border-box' })
    return () => sized.disconnect()
  }, [])

  const onScroll = () => {
    const box = feed.current
    if (!box) return
    const near = whole && box.scrollHeight - box.scrollTop - box.clientHeight < NEAR
    const upwards = box.scrollTop < was.current
    was.current = box.scrollTop
    if (near === following.current) return
    // What grew under one's eyes is followed; only going up leaves the end.
    if (!near && !upwards) return
    following.current = near
    log.follow(near)
    setSeen(near ? null : newest)
  }
  const fresh =
    seen === null ? 0 : whole ? rows.length - 1 - rows.findLastIndex((row) => row.key <= seen) : newest - seen
  useCommands([
    { id: 'to-end', title: 'Newest entry', group: 'Conversation', keys: 'g e', run: toEnd },
    {
      id: 'to-beginning',
      title: 'First entry',
      group: 'Conversation',
      keys: 'g b',
      run: toBeginning,
    },
  ])

  return (
    <OpenedContext value={opened.current}>
      <div className="feed-box">
        {failed ? (
          <div className="feed-note">
            <Problem
              action={
                <Button look="small" onClick={() => void log.start()}>
                  Try again
                </Button>
              }
            >
              {words(failed)}
            </Problem>
          </div>
        ) : !loaded ? (
          <p className="muted feed-note">Reading what happened so far …</p>
        ) : reading && top < AHEAD && first > 1 ? (
          <p className="muted small feed-note over">Reading what came before …</p>
        ) : null}
        <div
          className="feed"
          ref={feed}
          onScroll={onScroll}
          onFocus={(event) => {
            pinned.current = rowOf(event.target)
          }}
          onBlur={() => {
            pinned.current = null
          }}
          role="log"
          aria-live="off"
          aria-label="Conversation"
          tabIndex={0}
        >
          <div className="feed-inside">
            {items.filter((item) => !isShown(item)).map((item) => rowAt(item, item.start))}
            {/* One after the other as they are, so that a row that grows moves the next one at once. */}
            <div
              className="rows"
              ref={inside}
              style={{ paddingTop: shown[0]?.start ?? 0, minHeight: virtual.getTotalSize() }}
            >
              {shown.map((item) => rowAt(item))}
            </div>
          </div>
        </div>
        {seen !== null ? (
          <button type="button" className={fresh > 0 ? 'pill' : 'pill quiet'} onClick={toEnd}>
            <ArrowDown size={14} /> {fresh > 0 ? `${fresh} new` : 'Newest'}
          </button>
        ) : null}
      </div>
      <Composer onSent={toEnd} />
    </OpenedContext>
  )
}

function afterFrames(frames: number, then: () => void) {
  if (frames > 0) requestAnimationFrame(() => afterFrames(frames - 1, then))
  else then()
}

const isOpenAsk = (entry: Entry): boolean => entry.kind === 'ask' && entry.answered === undefined

/** The key of the row that an element is in. */
function rowOf(element: Element): number | null {
  const id = element.closest('article')?.id
  return id ? Number(id.slice(1)) : null
}

/** About how high a row is before it was seen, in pixels: a better guess is a steadier scroll bar, nothing more. */
function estimate(row: Row | undefined): number {
  if (row?.kind !== 'entry') return 28
  const { entry } = row
  if (entry.kind === 'message') return 44 + 21 * Math.min(200, Math.ceil(entry.text.length / 70))
  return entry.kind === 'ask' ? 180 : 28
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
