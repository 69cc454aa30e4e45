import { useQuery } from '@tanstack/react-query'
import { Link, useSearch } from '@tanstack/react-router'
import { type SessionLine, sessionsQuery, viewerQuery } from '../../app/queries'
import { words } from '../../graphql/errors'
import { Ago, Button, Problem } from '../../ui/controls'
import { money, plural } from '../../ui/format'
import { useTitle } from '../../ui/hooks'
import { phaseLook, State } from '../../ui/State'
import { Text } from '../../ui/Text'
import { FirstThings } from './FirstThings'
import { NewSession } from './NewSession'

export function Home() {
  const { archived = false } = useSearch({ from: '/inside/' })
  const viewer = useQuery(viewerQuery).data
  const sessions = useQuery(sessionsQuery(archived))
  const nodes = sessions.data?.nodes ?? []
  const waiting = nodes.filter((session) => session.phase.kind === 'WAITING')
  const others = nodes.filter((session) => session.phase.kind !== 'WAITING')
  useTitle(waiting.length > 0 ? `(${waiting.length}) Home` : 'Home')
  const empty = sessions.isSuccess && nodes.length === 0 && !archived
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
      {waiting.length > 0 ? (
        <section className="section" aria-labelledby="waiting">
          <h2 id="waiting">Waits for you</h2>
          <Lines sessions={waiting} look="waiting" />
        </section>
      ) : null}
      {empty ? null : (
        <section className="section" aria-labelledby="recent">
          <div className="page-head">
            <h2 id="recent">{archived ? 'Archived sessions' : 'Recent sessions'}</h2>
            <Link to="/" search={archived ? {} : { archived: true }} className="small">
              {archived ? 'Back to recent' : 'Archived'}
            </Link>
          </div>
          {sessions.isPending ? (
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

function Lines({ sessions, look = '' }: { sessions: readonly SessionLine[]; look?: string }) {
  return (
    <ul className={`card lines ${look}`}>
      {sessions.map((session) => (
        <Line key={session.number} session={session} />
      ))}
    </ul>
  )
}

function Line({ session }: { session: SessionLine }) {
  const look = phaseLook(session.phase)
  return (
    <li>
      <Link to="/r/$number" params={{ number: session.number }} className="line">
        <State look={look} silent />
        <span className="clip">
          <Text>{session.title}</Text>{' '}
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
