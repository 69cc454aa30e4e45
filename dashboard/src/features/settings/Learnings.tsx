import {
  keepPreviousData,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query'
import { Link, useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { viewerQuery } from '../../app/queries'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { Ago, Button, Problem, SelectField, TextField } from '../../ui/controls'
import { plural } from '../../ui/format'
import { useSettled, useTitle } from '../../ui/hooks'
import { Marked, wordsOf } from '../../ui/Marked'
import { marked } from '../../ui/safe-text'
import { Text } from '../../ui/Text'
import { say } from '../../ui/toast'
import { LearningForm } from './LearningForm'
import {
  CHANGE_LEARNING,
  draftOf,
  inputOf,
  LEARNINGS_KEY,
  type Learning,
  type LearningSearch,
  learningQuery,
  learningsOf,
  MOMENTS,
  REMOVE_LEARNING,
} from './learnings'
import { Remove } from './Remove'

/** Who may let a learning stand, change and remove it. */
export function useMayDecide(): boolean {
  const role = useQuery(viewerQuery).data?.role
  return role === 'ADMIN' || role === 'MAINTAINER'
}

export function Learnings() {
  useTitle('Learnings')
  const search = useSearch({ from: '/inside/settings/learnings' })
  const found = useInfiniteQuery({ ...learningsOf(search), placeholderData: keepPreviousData })
  const [adding, setAdding] = useState(false)
  const may = useMayDecide()
  const pages = found.data?.pages ?? []
  const learnings = pages.flatMap((page) => page.nodes)
  const proposed = pages[0]?.proposed ?? 0
  const filtered = Object.keys(search).length > 0
  return (
    <>
      <div className="row">
        <h1 className="grow">Learnings</h1>
        <Button look="primary" disabled={adding} onClick={() => setAdding(true)}>
          {may ? 'Add learning' : 'Propose learning'}
        </Button>
      </div>
      <p className="muted">
        What sessions taught, for later ones. Agents propose them; they are told of one only after a
        maintainer has accepted it, as a note that they are to check, and only where it fits.
      </p>
      {adding ? <LearningForm learning={null} onClose={() => setAdding(false)} /> : null}
      <Filters proposed={proposed} />
      {found.error ? <Problem>{words(found.error)}</Problem> : null}
      {found.isPending ? (
        <p className="card empty" role="status">
          Reading learnings …
        </p>
      ) : null}
      {found.data && learnings.length === 0 ? (
        <p className="card empty">
          {filtered
            ? 'No learning is like that.'
            : 'Nothing was learned yet. Agents may note something when a failed step succeeds, when failed checks pass, when review feedback is addressed, and when somebody corrects the plan.'}
        </p>
      ) : null}
      <p className="visually-hidden" role="status">
        {found.data ? `${plural(pages[0]?.found ?? 0, 'learning')} found` : ''}
      </p>
      {learnings.length > 0 ? (
        <ul className="learnings" aria-label="Learnings" aria-busy={found.isFetching}>
          {learnings.map((learning) => (
            <li key={learning.id}>
              <LearningCard learning={learning} marks={wordsOf(search.q ?? '')} />
            </li>
          ))}
        </ul>
      ) : null}
      {found.hasNextPage ? (
        <div className="actions section">
          <Button disabled={found.isFetchingNextPage} onClick={() => void found.fetchNextPage()}>
            {found.isFetchingNextPage ? 'Reading …' : 'Show more'}
          </Button>
        </div>
      ) : null}
    </>
  )
}

/** What is looked for; the address has it, so that it can be shared and outlives a reload. */
function Filters({ proposed }: { proposed: number }) {
  const search = useSearch({ from: '/inside/settings/learnings' })
  const navigate = useNavigate({ from: '/settings/learnings' })
  const [text, setText] = useState(search.q ?? '')
  const [repository, setRepository] = useState(search.repo ?? '')
  const settled = useSettled(JSON.stringify([text.trim(), repository.trim()]), 250)
  const told = useRef(settled)
  useEffect(() => {
    if (settled === told.current) return
    told.current = settled
    const [q, repo] = JSON.parse(settled) as [string, string]
    void navigate({
      search: ({ q: _, repo: __, ...rest }) => ({ ...rest, ...(q ? { q } : {}), ...(repo ? { repo } : {}) }),
      replace: true,
    })
  }, [settled, navigate])
  const set = (change: Partial<LearningSearch>) =>
    void navigate({
      search: (old) =>
        Object.fromEntries(
          Object.entries({ ...old, ...change }).filter(([, value]) => value),
        ) as LearningSearch,
      replace: true,
    })
  return (
    <search className="inline-form learning-filters" aria-label="Find learnings">
      <TextField
        label="Search"
        type="search"
        placeholder="words, a framework, a file"
        value={text}
        onValue={setText}
      />
      <TextField label="Repository" placeholder="any" value={repository} onValue={setRepository} />
      <SelectField
        label="State"
        value={search.state ?? ''}
        onValue={(state) => set({ state: (state || undefined) as Learning['state'] })}
      >
        <option value="">any</option>
        <option value="PROPOSED">waits for review ({proposed})</option>
        <option value="ACTIVE">active</option>
        <option value="OFF">off</option>
      </SelectField>
      <SelectField
        label="First"
        value={search.sort ?? ''}
        onValue={(sort) => set({ sort: sort === 'used' ? 'used' : undefined })}
      >
        <option value="">newest</option>
        <option value="used">most used</option>
      </SelectField>
    </search>
  )
}

/** One learning by its address, to which sessions link. */
export function LearningPage() {
  const { id } = useParams({ from: '/inside/settings/learnings/$id' })
  const learning = useQuery(learningQuery(id))
  useTitle(learning.data?.pattern ?? 'Learning')
  return (
    <>
      <p>
        <Link to="/settings/learnings">Learnings</Link>
      </p>
      <h1>Learning</h1>
      {learning.error ? <Problem>{words(learning.error)}</Problem> : null}
      {learning.data ? <LearningCard learning={learning.data} marks={[]} /> : null}
      {learning.data === null ? (
        <p className="card empty">
          This learning does not exist any more. Sessions that taught it or used it keep its name.
        </p>
      ) : null}
    </>
  )
}

const STATES = {
  PROPOSED: { badge: 'badge wait', words: 'waits for review' },
  ACTIVE: { badge: 'badge', words: 'active' },
  OFF: { badge: 'badge', words: 'off' },
} as const

/** A learning with where it comes from, and what one may do with it. Its texts may be an agent's: they are shown as text. */
function LearningCard({ learning, marks }: { learning: Learning; marks: readonly string[] }) {
  const [editing, setEditing] = useState(false)
  const may = useMayDecide()
  const state = STATES[learning.state]
  if (editing) return <LearningForm learning={learning} onClose={() => setEditing(false)} />
  return (
    <article className="card learning" aria-label={marked(learning.pattern)}>
      <div className="row">
        <strong className="grow">
          <Marked marks={marks}>{learning.pattern}</Marked>
        </strong>
        <span className={state.badge}>{state.words}</span>
      </div>
      <p className="learning-text">
        <Marked marks={marks}>{learning.solution}</Marked>
      </p>
      {learning.appliesTo.length > 0 ? (
        <p className="row wrap small">
          {learning.appliesTo.map((each) => (
            <code key={each}>
              <Marked marks={marks}>{each}</Marked>
            </code>
          ))}
        </p>
      ) : null}
      <p className="muted small">
        <Origin learning={learning} /> ·{' '}
        {learning.repositories.length === 0 ? (
          'all repositories'
        ) : (
          <Text>{learning.repositories.join(', ')}</Text>
        )}{' '}
        · {learning.used === 0 ? 'never used' : `used by ${plural(learning.used, 'run')}`} · changed{' '}
        <Ago at={learning.changedAt} />
        {learning.author && learning.lessons.length > 0 ? (
          <>
            {' '}
            by <Text>{learning.author.name}</Text>
          </>
        ) : null}
      </p>
      {may ? <Decisions learning={learning} onEdit={() => setEditing(true)} /> : null}
    </article>
  )
}

/** Who wrote a learning: the sessions that taught it, or a person. */
function Origin({ learning }: { learning: Learning }) {
  const [first] = learning.lessons
  if (!first)
    return (
      <>
        written by <Text>{learning.author?.name ?? 'somebody'}</Text>
      </>
    )
  const sessions = [...new Set(learning.lessons.map((lesson) => lesson.session))]
  return (
    <>
      taught by the agent in{' '}
      {sessions.slice(0, 5).map((session, index) => (
        <span key={session}>
          {index > 0 ? ', ' : ''}
          <Link to="/r/$number" params={{ number: session }}>
            r/{session}
          </Link>
        </span>
      ))}
      {sessions.length > 5 ? ` and ${sessions.length - 5} more` : ''}, {MOMENTS[first.moment]}
    </>
  )
}

function Decisions({ learning, onEdit }: { learning: Learning; onEdit: () => void }) {
  const client = useQueryClient()
  const reread = () => client.invalidateQueries({ queryKey: LEARNINGS_KEY })
  const { id, version: expectedVersion } = learning
  const put = useMutation({
    mutationFn: (state: Learning['state']) =>
      request(CHANGE_LEARNING, { id, expectedVersion, input: inputOf(draftOf(learning), state) }),
    onSuccess: (_, state) =>
      say(state === 'ACTIVE' ? 'New runs are told of it where it fits.' : 'No agent is told of it any more.'),
    onSettled: reread,
  })
  const remove = useMutation({
    mutationFn: () => request(REMOVE_LEARNING, { id, expectedVersion }),
    onSettled: reread,
  })
  const button = (words: string, state: Learning['state'], look = 'small') => (
    <Button look={look} disabled={put.isPending} onClick={() => put.mutate(state)}>
      {words}
    </Button>
  )
  return (
    <div className="row wrap">
      {learning.state === 'PROPOSED' ? (
        <>
          {button('Accept', 'ACTIVE', 'small primary')}
          {button('Turn down', 'OFF')}
        </>
      ) : null}
      {learning.state === 'ACTIVE' ? button('Turn off', 'OFF') : null}
      {learning.state === 'OFF' ? button('Turn on', 'ACTIVE') : null}
      <Button look="small" onClick={onEdit}>
        Edit
      </Button>
      <Remove title={learning.pattern} pending={remove.isPending} onRemove={() => remove.mutate()}>
        Runs that begin from now on are not told of it. An agent may propose the same again; turn it off to
        keep that from happening.
      </Remove>
    </div>
  )
}
