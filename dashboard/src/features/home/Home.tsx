import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { useCommands } from '../../app/commands'
import { type SessionLine, sessionsQuery, viewerQuery } from '../../app/queries'
import { words } from '../../graphql/errors'
import { Ago, Button, Problem } from '../../ui/controls'
import { money, plural } from '../../ui/format'
import { useSettled, useTitle } from '../../ui/hooks'
import { Marked, wordsOf } from '../../ui/Marked'
import { phaseLook, State } from '../../ui/State'
import { Text } from '../../ui/Text'
import { FirstThings } from './FirstThings'
import { NewSession } from './NewSession'

export function Home() {
  const { archived = false, q = '' } = useSearch({ from: '/inside/' })
  const viewer = useQuery(viewerQuery).data
  const sessions = useQuery(sessionsQuery(archived))
  const nodes = sessions.data?.nodes ?? []
  const waiting = nodes.filter((session) => session.phase.kind === 'WAITING')
  const others = nodes.filter((session) => session.phase.kind !== 'WAITING')
  useTitle('Home')
  const empty = sessions.isSuccess && nodes.length === 0 && !archived && q === ''
  const name = viewer?.person?.name.split(' ')[0]
  return (
    <main className="page">
      <section className="section" aria-labelledby="ask">
        <h1 id="ask">
          What do you want changed<Text>{name ? `, ${name}` : ''}</Text>?
        </h1>
        <NewSession />
      </section>
      {sessions.error ? (
        <Problem
          action={
            <Button look="small" onClick={() => void sessions.refetch()}>
              Try again
            </Button>
          }
        >
          {words(sessions.error)}
        </Problem>
      ) : null}
      {empty ? <FirstThings /> : null}
      {waiting.length > 0 && q === '' ? (
        <section className="section" aria-labelledby="waiting">
          <h2 id="waiting">Waits for you</h2>
          <Lines sessions={waiting} look="waiting" />
        </section>
      ) : null}
      {empty ? null : (
        <section className="section" aria-labelledby="recent">
          <div className="page-head">
            <h2 id="recent">{archived ? 'Archived sessions' : q ? 'Sessions' : 'Recent sessions'}</h2>
            <SearchField />
            <Link
              to="/"
              search={{ ...(q ? { q } : {}), ...(archived ? {} : { archived: true }) }}
              className="small"
            >
              {archived ? 'Back to recent' : 'Archived'}
            </Link>
          </div>
          {q !== '' ? (
            <Found q={q} archived={archived} />
          ) : sessions.isPending ? (
            <p className="card empty">Reading sessions …</p>
          ) : others.length === 0 ? (
            <p className="card empty">
              {archived ? 'Nothing was archived yet.' : 'Everything waits for you.'}
            </p>
          ) : (
            <Lines sessions={others} />
          )}
        </section>
      )}
    </main>
  )
}

/** What is looked for; the address has it, so that it can be shared and outlives a reload. */
function SearchField() {
  const { archived = false, q = '' } = useSearch({ from: '/inside/' })
  const navigate = useNavigate({ from: '/' })
  const [text, setText] = useState(q)
  const box = useRef<HTMLInputElement>(null)
  const settled = useSettled(text.trim(), 250)
  const told = useRef(q)
  useEffect(() => {
    if (settled === told.current) return
    told.current = settled
    void navigate({
      search: { ...(archived ? { archived } : {}), ...(settled === '' ? {} : { q: settled }) },
      replace: true,
    })
  }, [settled, archived, navigate])
  // The address was changed by something else: back, a link.
  useEffect(() => {
    if (q === told.current) return
    told.current = q
    setText(q)
  }, [q])
  useCommands([
    { id: 'find', title: 'Find sessions', group: 'Go', keys: '/', run: () => box.current?.focus() },
  ])
  return (
    <input
      ref={box}
      type="search"
      className="input find"
      aria-label="Find sessions"
      placeholder="Find: words, state:failed, author:ada, repo:…"
      value={text}
      onChange={(event) => setText(event.target.value)}
    />
  )
}

function Found({ q, archived }: { q: string; archived: boolean }) {
  const found = useQuery({ ...sessionsQuery(archived, q), placeholderData: keepPreviousData })
  if (found.error)
    return (
      <p className="problem" role="alert">
        {words(found.error)}
      </p>
    )
  if (!found.data) return <p className="card empty">Looking …</p>
  const { nodes, pageInfo } = found.data
  if (nodes.length === 0)
    return (
      <div className="card empty">
        <p>
          No {archived ? 'archived ' : ''}session matches “<Text>{q}</Text>”.
        </p>
        <p className="muted small">
          Words are looked for in titles, requests and branches. <code>state:waiting</code>,{' '}
          <code>author:ada</code>, <code>repo:backend</code> and <code>branch:main</code> say more; quotation
          marks hold words together.
        </p>
        <Link to="/" className="button">
          Show all sessions
        </Link>
      </div>
    )
  return (
    <>
      <p className="visually-hidden" role="status">
        {plural(nodes.length, 'session')} found
      </p>
      <Lines sessions={nodes} marks={wordsOf(q)} />
      {pageInfo.hasNextPage ? (
        <p className="muted small">The newest {nodes.length} are shown. Say more to find older ones.</p>
      ) : null}
    </>
  )
}

interface LinesProps {
  sessions: readonly SessionLine[]
  look?: string
  /** Words that are marked in the titles. */
  marks?: readonly string[]
}

function Lines({ sessions, look = '', marks = [] }: LinesProps) {
  return (
    <ul className={`card lines ${look}`}>
      {sessions.map((session) => (
        <Line key={session.number} session={session} marks={marks} />
      ))}
    </ul>
  )
}

function Line({ session, marks }: { session: SessionLine; marks: readonly string[] }) {
  const look = phaseLook(session.phase)
  return (
    <li>
      <Link to="/r/$number" params={{ number: session.number }} className="line">
        <State look={look} silent />
        <span className="clip">
          <Marked marks={marks}>{session.title}</Marked>{' '}
          <span className="where">
            <Text>{session.repository}</Text> · r/{session.number}
          </span>
        </span>
        <span className="words small muted clip">{look.words}</span>
        {session.total > 0 ? (
          <span className="progress" title={`${session.completed} of ${plural(session.total, 'step')} done`}>
            <progress value={session.completed} max={session.total} aria-label="Steps done" />
            {session.completed}/{session.total}
          </span>
        ) : (
          <span className="progress" />
        )}
        <span className="cost numbers small muted end">{money(session.cost)}</span>
        <Ago at={session.createdAt} className="time small muted end" />
      </Link>
    </li>
  )
}
