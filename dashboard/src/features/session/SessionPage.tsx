import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { lazy, type ReactNode, Suspense, useMemo } from 'react'
import { useCommands } from '../../app/commands'
import { peopleQuery, viewerQuery } from '../../app/queries'
import type { Tab } from '../../app/router'
import { words } from '../../graphql/errors'
import { Button, Problem } from '../../ui/controls'
import { useMedia, useTitle } from '../../ui/hooks'
import { phaseLook } from '../../ui/State'
import { sessionActions, useAct } from './actions'
import { Conversation } from './Conversation'
import { SessionContext } from './context'
import { Header } from './Header'
import { Others, usePresence } from './presence'
import { sessionQuery } from './queries'
import { SessionLink } from './SessionLink'
import { Steps } from './Steps'
import { useLog } from './useLog'

const Document = lazy(() => import('./Document').then(({ Document }) => ({ default: Document })))
const Changes = lazy(() => import('../changes/Changes').then(({ Changes }) => ({ default: Changes })))
const Log = lazy(() => import('./Log').then(({ Log }) => ({ default: Log })))

const NOBODY: never[] = []

export function SessionPage() {
  const { number } = useParams({ from: '/inside/r/$number' })
  // A session of its own gets a page of its own: nothing of the one before is kept.
  return <OneSession key={number} number={number} />
}

function OneSession({ number }: { number: number }) {
  const search = useSearch({ from: '/inside/r/$number' })
  const navigate = useNavigate({ from: '/r/$number' })
  const query = useQuery(sessionQuery(number))
  const viewer = useQuery(viewerQuery).data
  const people = useQuery(peopleQuery).data ?? NOBODY
  const held = useLog(number, search.at)
  const actions = useMemo(() => sessionActions(number), [number])
  const act = useAct(number)
  const narrow = useMedia('(max-width: 900px)')
  const session = query.data
  const me = viewer?.person?.id
  const others = usePresence(number, me)
  const context = useMemo(
    () => (session ? { session, people, actions, me } : null),
    [session, people, actions, me],
  )
  const look = session ? phaseLook(session.phase) : null
  useTitle(session ? `${look?.glyph} r/${number} ${session.title}` : `r/${number}`)

  const wanted = search.tab ?? (narrow ? 'talk' : 'steps')
  const tab: Tab = wanted === 'talk' && !narrow ? 'steps' : wanted
  const go = (to: Tab) => void navigate({ search: (before) => ({ ...before, tab: to }) })
  useCommands([
    { id: 'tab-steps', title: 'Steps', group: 'Session', keys: '1', run: () => go('steps') },
    { id: 'tab-markdown', title: 'Markdown', group: 'Session', keys: '2', run: () => go('markdown') },
    { id: 'tab-changes', title: 'Changes', group: 'Session', keys: '3', run: () => go('changes') },
    { id: 'tab-log', title: 'Log', group: 'Session', keys: '4', run: () => go('log') },
    {
      id: 'execute',
      title: 'Execute the next step',
      group: 'Session',
      keys: 'e',
      run: () => act.mutate(() => actions.execute(null)),
    },
    {
      id: 'execute-all',
      title: 'Execute all steps',
      group: 'Session',
      run: () => act.mutate(() => actions.execute(null, true)),
    },
    { id: 'stop', title: 'Stop', group: 'Session', keys: 's', run: () => act.mutate(() => actions.stop()) },
    {
      id: 'retry',
      title: 'Retry what failed',
      group: 'Session',
      keys: 'r',
      run: () => act.mutate(() => actions.retry()),
    },
  ])

  if (query.isPending) return <main className="page muted">Reading r/{number} …</main>
  if (query.error && !session)
    return (
      <main className="page">
        <Problem action={<Button onClick={() => void query.refetch()}>Try again</Button>}>
          {words(query.error)}
        </Problem>
      </main>
    )
  if (!session || !context)
    return (
      <main className="lost">
        <h1>There is no session r/{number}</h1>
        <p className="muted">It may belong to another account.</p>
        <Link to="/" className="button">
          Go home
        </Link>
      </main>
    )

  const leaves = session.steps.filter((step) => step.leaf)
  const done = leaves.filter((step) => step.state === 'COMPLETED').length
  const link = (to: Tab, children: ReactNode) => (
    <SessionLink to={{ tab: to }} aria-current={tab === to ? 'page' : undefined}>
      {children}
    </SessionLink>
  )
  const talk = <Conversation held={held} at={search.at} />
  return (
    <SessionContext value={context}>
      <Others value={others}>
        <main className="session">
          <Header />
          <div className="session-body">
            {narrow ? null : (
              <section className="talk" aria-label="Conversation">
                {talk}
              </section>
            )}
            <section className="work" aria-label="Work">
              <nav className="tabs" aria-label="Parts of the session">
                {narrow
                  ? link(
                      'talk',
                      <>
                        Conversation{' '}
                        {session.openRequests.length > 0 ? (
                          <b className="badge wait">{session.openRequests.length}</b>
                        ) : null}
                      </>,
                    )
                  : null}
                {link(
                  'steps',
                  <>
                    Steps{' '}
                    {leaves.length > 0 ? (
                      <span className="muted numbers">
                        {done}/{leaves.length}
                      </span>
                    ) : null}
                  </>,
                )}
                {link('markdown', 'Markdown')}
                {link(
                  'changes',
                  <>
                    Changes{' '}
                    {session.changes.length > 0 ? (
                      <span className="muted numbers">{session.changes.length}</span>
                    ) : null}
                  </>,
                )}
                {link('log', 'Log')}
              </nav>
              <Suspense fallback={<p className="empty">One moment …</p>}>
                {tab === 'talk' ? <div className="talk">{talk}</div> : null}
                {tab === 'steps' ? <Steps /> : null}
                {tab === 'markdown' ? <Document /> : null}
                {tab === 'changes' ? <Changes chosen={search.change} /> : null}
                {tab === 'log' ? <Log held={held} run={search.run} /> : null}
              </Suspense>
            </section>
          </div>
        </main>
      </Others>
    </SessionContext>
  )
}
