import { useInfiniteQuery, useQueries } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useVirtualizer } from '@tanstack/react-virtual'
import { type ReactNode, useEffect, useMemo, useRef, useState } from 'react'
import { useCommands } from '../../app/commands'
import { words } from '../../graphql/errors'
import { Ago, Button, Problem } from '../../ui/controls'
import { Frame } from '../../ui/Frame'
import { clock, count, duration, exact, money } from '../../ui/format'
import { useSettled } from '../../ui/hooks'
import { actionWords, type Look, State, stepLook } from '../../ui/State'
import { Text } from '../../ui/Text'
import { useSession } from './context'
import { KINDS, known, type LogEvent } from './events'
import { OutputPart } from './OutputPart'
import { eventsQuery, foundQuery, type Matching, type Run } from './queries'
import { SessionLink } from './SessionLink'
import { summary } from './summary'
import type { Held } from './useLog'

const RUN_LOOKS: Record<Run['state'], Look> = {
  QUEUED: stepLook('QUEUED'),
  RUNNING: stepLook('IN_PROGRESS'),
  WAITING: stepLook('WAITING'),
  SUCCEEDED: stepLook('COMPLETED'),
  FAILED: stepLook('FAILED'),
  STOPPED: stepLook('FAILED', 'STOPPED'),
}

interface Props {
  held: Held
  run: string | undefined
}

/** All runs and every event, as they are on record. */
export function Log({ held, run }: Props) {
  const [kind, setKind] = useState('')
  const [query, setQuery] = useState('')
  const text = useSettled(query.trim(), 250)
  const box = useRef<HTMLInputElement>(null)
  useCommands([
    {
      id: 'find',
      title: 'Find in this session',
      group: 'Session',
      keys: '/',
      run: () => box.current?.focus(),
    },
  ])
  const matching = useMemo(
    () => ({
      ...(text === '' ? {} : { text }),
      ...(kind === '' ? {} : { kind }),
      ...(run === undefined ? {} : { run }),
    }),
    [kind, run, text],
  )
  const all = Object.keys(matching).length === 0
  return (
    <div className="log">
      <Runs chosen={run} />
      <div className="log-bar">
        <input
          ref={box}
          className="input"
          type="search"
          aria-label="Find in this session"
          placeholder="Find in this session"
          value={query}
          onChange={(event) => setQuery(event.target.value)}
        />
        <select
          className="input"
          aria-label="Kind of event"
          value={kind}
          onChange={(event) => setKind(event.target.value)}
        >
          <option value="">all kinds</option>
          {KINDS.toSorted().map((each) => (
            <option key={each} value={each}>
              {each.replaceAll('_', ' ')}
            </option>
          ))}
        </select>
        {all ? <Count>{`${held.newest} of ${held.newest}`}</Count> : null}
        {all ? null : <FoundCount matching={matching} newest={held.newest} />}
      </div>
      {all ? <Everything held={held} /> : <Found matching={matching} newest={held.newest} />}
    </div>
  )
}

const Count = ({ children }: { children: ReactNode }) => (
  <span className="muted small numbers" role="status">
    {children}
  </span>
)

function Runs({ chosen }: { chosen: string | undefined }) {
  const { session } = useSession()
  const navigate = useNavigate({ from: '/r/$number' })
  if (session.runs.length === 0) return <p className="empty">Nothing ran yet.</p>
  return (
    <section className="table-scroll runs" aria-label="Runs">
      <table className="table">
        <thead>
          <tr>
            <th>Run</th>
            <th>State</th>
            <th>Began</th>
            <th className="end">Time</th>
            <th className="end">Tokens</th>
            <th className="end">Cost</th>
          </tr>
        </thead>
        <tbody>
          {session.runs.toReversed().map((run) => (
            <tr key={run.id} className={run.id === chosen ? 'chosen' : undefined}>
              <td>
                <button
                  type="button"
                  className="link"
                  aria-pressed={run.id === chosen}
                  onClick={() =>
                    void navigate({
                      search: (before) => ({ ...before, run: run.id === chosen ? undefined : run.id }),
                    })
                  }
                >
                  {actionWords(run.kind)} {run.step ?? ''}
                </button>
              </td>
              <td>
                <State look={RUN_LOOKS[run.state]} silent /> {RUN_LOOKS[run.state].words}
                {run.message ? (
                  <span className="muted">
                    {' '}
                    <Text>{run.message}</Text>
                  </span>
                ) : null}
              </td>
              <td>
                <Ago at={run.startedAt} />
              </td>
              <td className="end numbers">
                {run.finishedAt
                  ? duration((Date.parse(run.finishedAt) - Date.parse(run.startedAt)) / 1_000)
                  : ''}
              </td>
              <td className="end numbers">
                {count(run.usage.input + run.usage.output + run.usage.cacheRead + run.usage.cacheWrite)}
              </td>
              <td className="end numbers">{money(run.usage.cost)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

/** Events of one request by their place in the log. */
const PAGE = 200

/** Every event by its number. Only what is looked at is fetched: a log has no longest. */
function Everything({ held }: { held: Held }) {
  const { session } = useSession()
  const { newest, recent } = held
  const before = recent[0] ? recent[0].number - 1 : newest
  const [range, setRange] = useState<readonly [from: number, to: number]>([0, 0])
  const pages: number[] = []
  for (let page = Math.floor(range[0] / PAGE); page * PAGE <= Math.min(range[1], before - 1); page++)
    pages.push(page)
  const found = useQueries({
    queries: pages.map((page) =>
      eventsQuery(session.number, page * PAGE, Math.min(PAGE, before - page * PAGE)),
    ),
  })
  const at = (index: number): LogEvent | undefined => {
    if (index >= before) return recent[index - before]
    const events = found[pages.indexOf(Math.floor(index / PAGE))]?.data
    return events?.[index % PAGE]
  }
  const failed = found.find((each) => each.error)?.error
  return (
    <Events
      count={newest}
      at={at}
      onRange={(from, to) => {
        if (from !== range[0] || to !== range[1]) setRange([from, to])
      }}
      failed={failed}
      again={() => {
        for (const each of found) if (each.error) void each.refetch()
      }}
    />
  )
}

/** So many hits are shown; who needs more says more of what is looked for. */
const MOST_FOUND = 2_000

function useFound(matching: Matching, newest: number) {
  const { session } = useSession()
  const found = useInfiniteQuery(foundQuery(session.number, matching))
  const pages = found.data?.pages ?? []
  const events = useMemo(() => pages.flatMap((page) => page.nodes), [pages])
  const reached = pages.at(-1)?.reached ?? 0
  return { ...found, events, all: found.isSuccess && reached >= newest, full: events.length >= MOST_FOUND }
}

function FoundCount({ matching, newest }: { matching: Matching; newest: number }) {
  const { events, all, full, isPending } = useFound(matching, newest)
  if (isPending) return <Count>looking …</Count>
  return (
    <Count>
      {full ? `the first ${events.length}` : `${events.length}${all ? '' : '+'}`} of {newest}
    </Count>
  )
}

function Found({ matching, newest }: { matching: Matching; newest: number }) {
  const found = useFound(matching, newest)
  const { events, all, full, isFetching, error, fetchNextPage } = found
  const [to, setTo] = useState(0)
  const wants = !all && !full && !isFetching && !error && to >= events.length - 20
  useEffect(() => {
    if (!wants) return
    // While the agent writes there is news many times a second; nobody reads hits that fast.
    const timer = window.setTimeout(() => void fetchNextPage(), events.length === 0 ? 0 : 300)
    return () => window.clearTimeout(timer)
  }, [wants, events.length, fetchNextPage])
  if (all && events.length === 0)
    return <p className="empty">Nothing in this session matches. Look for fewer words, or for all kinds.</p>
  return (
    <Events
      count={events.length}
      at={(index) => events[index]}
      onRange={(_, last) => setTo(last)}
      failed={error}
      again={() => void found.fetchNextPage()}
    />
  )
}

const LINE = 26

interface EventsProps {
  count: number
  /** What is in a line; undefined until it was fetched. */
  at: (index: number) => LogEvent | undefined
  onRange: (from: number, to: number) => void
  failed: unknown
  again: () => void
}

function Events({ count, at, onRange, failed, again }: EventsProps) {
  const box = useRef<HTMLDivElement>(null)
  const [open, setOpen] = useState<number | null>(null)
  const virtual = useVirtualizer({
    count,
    getScrollElement: () => box.current,
    estimateSize: () => LINE,
    overscan: 20,
  })
  const items = virtual.getVirtualItems()
  const [from, to] = [items[0]?.index ?? 0, items.at(-1)?.index ?? 0]
  // biome-ignore lint/correctness/useExhaustiveDependencies: only another range is news
  useEffect(() => onRange(from, to), [from, to])
  return (
    <section className="events" ref={box} aria-label="Events" tabIndex={0}>
      {failed ? (
        <Problem
          action={
            <Button look="small" onClick={again}>
              Try again
            </Button>
          }
        >
          {words(failed)}
        </Problem>
      ) : null}
      <div className="events-inside" style={{ height: virtual.getTotalSize() }}>
        {items.map((item) => {
          const event = at(item.index)
          return (
            <div
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className="event"
              style={{ transform: `translateY(${item.start}px)` }}
            >
              {event ? (
                <Line
                  event={event}
                  open={open === event.number}
                  onToggle={() => setOpen(open === event.number ? null : event.number)}
                />
              ) : (
                <p className="event-soon">…</p>
              )}
            </div>
          )
        })}
      </div>
    </section>
  )
}

function Line({ event, open, onToggle }: { event: LogEvent; open: boolean; onToggle: () => void }) {
  const payload = open ? known(event) : null
  return (
    <>
      <button type="button" aria-expanded={open} onClick={onToggle}>
        <span className="event-number">{event.number}</span>
        <time dateTime={event.at} title={exact(event.at)}>
          {clock(event.at)}
        </time>
        <span className="event-kind">{event.kind}</span>
        <span className="clip">{summary(event)}</span>
      </button>
      {open ? (
        <div className="event-body">
          <SessionLink to={{ at: event.number, tab: undefined }} className="small">
            Show in the conversation
          </SessionLink>
          {payload?.type === 'output' ? (
            <OutputPart exec={payload.exec} from={payload.from} />
          ) : (
            <Frame label="Payload">
              <Text>{JSON.stringify(event.payload, null, 2)}</Text>
            </Frame>
          )}
        </div>
      ) : null}
    </>
  )
}
