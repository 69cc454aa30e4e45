import { useNavigate } from '@tanstack/react-router'
import { useVirtualizer } from '@tanstack/react-virtual'
import { useMemo, useRef, useState } from 'react'
import { Ago } from '../../ui/controls'
import { Frame } from '../../ui/Frame'
import { clock, count, duration, exact, money } from '../../ui/format'
import { actionWords, type Look, State, stepLook } from '../../ui/State'
import { Text } from '../../ui/Text'
import { useSession } from './context'
import type { Conversation } from './conversation'
import type { LogEvent } from './events'
import type { Run } from './queries'
import { summary } from './summary'

const RUN_LOOKS: Record<Run['state'], Look> = {
  QUEUED: stepLook('QUEUED'),
  RUNNING: stepLook('IN_PROGRESS'),
  WAITING: stepLook('WAITING'),
  SUCCEEDED: stepLook('COMPLETED'),
  FAILED: stepLook('FAILED'),
  STOPPED: stepLook('FAILED', 'STOPPED'),
}

const runOf = (event: LogEvent): unknown => (event.payload as { run?: unknown } | null)?.run

interface Props {
  events: readonly LogEvent[]
  conversation: Conversation
  run: string | undefined
}

/** All runs and every event, as they are on record. */
export function Log({ events, run }: Props) {
  const [kind, setKind] = useState('')
  const [query, setQuery] = useState('')
  const kinds = useMemo(() => [...new Set(events.map((event) => event.kind))].sort(), [events])
  const shown = useMemo(() => {
    const wanted = query.trim().toLowerCase()
    return events.filter(
      (event) =>
        (kind === '' || event.kind === kind) &&
        (run === undefined || runOf(event) === run) &&
        (wanted === '' || JSON.stringify(event.payload).toLowerCase().includes(wanted)),
    )
  }, [events, kind, query, run])
  return (
    <div className="log">
      <Runs chosen={run} />
      <div className="log-bar">
        <input
          className="input"
          type="search"
          aria-label="Filter events"
          placeholder="Filter events"
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
          {kinds.map((each) => (
            <option key={each} value={each}>
              {each.replaceAll('_', ' ')}
            </option>
          ))}
        </select>
        <span className="muted small numbers" role="status">
          {shown.length} of {events.length}
        </span>
      </div>
      <Events events={shown} />
    </div>
  )
}

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

const LINE = 26

function Events({ events }: { events: readonly LogEvent[] }) {
  const box = useRef<HTMLDivElement>(null)
  const [open, setOpen] = useState<number | null>(null)
  const virtual = useVirtualizer({
    count: events.length,
    getScrollElement: () => box.current,
    estimateSize: () => LINE,
    getItemKey: (index) => events[index]?.number ?? index,
    overscan: 20,
  })
  return (
    <section className="events" ref={box} aria-label="Events" tabIndex={0}>
      <div className="events-inside" style={{ height: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map((item) => {
          const event = events[item.index]
          if (!event) return null
          return (
            <div
              key={item.key}
              ref={virtual.measureElement}
              data-index={item.index}
              className="event"
              style={{ transform: `translateY(${item.start}px)` }}
            >
              <button
                type="button"
                aria-expanded={open === event.number}
                onClick={() => setOpen(open === event.number ? null : event.number)}
              >
                <span className="event-number">{event.number}</span>
                <time dateTime={event.at} title={exact(event.at)}>
                  {clock(event.at)}
                </time>
                <span className="event-kind">{event.kind}</span>
                <span className="clip">{summary(event)}</span>
              </button>
              {open === event.number ? (
                <Frame label="Payload">
                  <Text>{JSON.stringify(event.payload, null, 2)}</Text>
                </Frame>
              ) : null}
            </div>
          )
        })}
      </div>
    </section>
  )
}
