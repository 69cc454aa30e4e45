import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { CircleCheck, Columns2, GitMerge, Rows2, WandSparkles } from 'lucide-react'
import { useState } from 'react'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { graphql, type ResultOf } from '../../graphql/graphql'
import { Button, Dialog, Problem } from '../../ui/controls'
import { plural } from '../../ui/format'
import { useMedia } from '../../ui/hooks'
import { Markdown } from '../../ui/Markdown'
import { changeLook, State, stepLook } from '../../ui/State'
import { Text } from '../../ui/Text'
import { say } from '../../ui/toast'
import { useSession } from '../session/context'
import { type Change, sessionKey } from '../session/queries'
import { SessionLink } from '../session/SessionLink'
import { CommentBox, DiffView, Write } from './DiffView'

const PULL = graphql(`
  query PullRequest($repository: String!, $number: Int!) {
    pullRequest(repository: $repository, number: $number) {
      number title body base head headCommit state author createdAt labels steps diff
      commits { id subject }
      comments { id author body createdAt }
      threads { id path line resolved comments { id author body createdAt } }
      checks { name passed summary }
    }
  }
`)
const DIFF = graphql(`
  query Diff($number: Int!, $step: String) { session(number: $number) { diff(step: $step) } }
`)
const COMMENT = graphql(`
  mutation Comment($repository: String!, $number: Int!, $body: String!, $path: String, $line: Int) {
    commentOnPullRequest(repository: $repository, number: $number, body: $body, path: $path, line: $line) { number }
  }
`)
const REVISE = graphql(`
  mutation Revise($repository: String!, $number: Int!, $instructions: String) {
    revisePullRequest(repository: $repository, number: $number, instructions: $instructions) { queued }
  }
`)
const READY = graphql(`
  mutation Ready($repository: String!, $number: Int!) {
    makePullRequestReady(repository: $repository, number: $number) { state }
  }
`)
const MERGE = graphql(`
  mutation Merge($repository: String!, $number: Int!, $squash: Boolean!) {
    mergePullRequest(repository: $repository, number: $number, squash: $squash) { commit notes }
  }
`)

type Pull = NonNullable<ResultOf<typeof PULL>['pullRequest']>

// The head is part of the key: another commit is another diff.
const pullQuery = (repository: string, change: Change) =>
  queryOptions({
    queryKey: ['pull', repository, change.pullRequest, change.head, change.state],
    queryFn: async () =>
      change.pullRequest === null
        ? null
        : (await request(PULL, { repository, number: change.pullRequest })).pullRequest,
  })

export function Changes({ chosen }: { chosen: number | undefined }) {
  const { session } = useSession()
  const { changes } = session
  if (changes.length === 0) return <Work />
  const change =
    changes.find((each) => each.pullRequest !== null && each.pullRequest === chosen) ?? changes[0]
  if (!change) return null
  return (
    <div className="changes">
      <StackPicture chosen={change} />
      {change.pullRequest === null ? (
        <Work step={change.steps[0]} />
      ) : (
        <PullRequest key={change.id} change={change} />
      )}
    </div>
  )
}

/** What is on what, the newest on top, as it will be merged from below. */
function StackPicture({ chosen }: { chosen: Change }) {
  const { session } = useSession()
  return (
    <nav className="stack-picture" aria-label="Stack of pull requests">
      <ol reversed>
        {session.changes.toReversed().map((change) => {
          const look = changeLook(change.state)
          return (
            <li key={change.id}>
              <SessionLink
                to={{ tab: 'changes', change: change.pullRequest ?? undefined }}
                className={`stack-change ${change === chosen ? 'chosen' : ''}`}
                aria-current={change === chosen ? 'page' : undefined}
              >
                <State look={look} silent />
                <span className="numbers">{change.pullRequest ? `#${change.pullRequest}` : 'branch'}</span>
                <span className="grow clip">
                  <Text>{change.title}</Text>
                </span>
                <span className="muted small">
                  {change.steps.length > 0 ? `step ${change.steps.join(', ')} · ` : ''}
                  {look.words}
                </span>
              </SessionLink>
            </li>
          )
        })}
        <li className="stack-base">
          <code>
            <Text>{session.targetBranch}</Text>
          </code>
        </li>
      </ol>
    </nav>
  )
}

/** Work that is in no pull request yet. */
function Work({ step }: { step?: string | undefined }) {
  const { session } = useSession()
  // State and not a ref: the rows can be laid out only once the box is there.
  const [box, setBox] = useState<HTMLElement | null>(null)
  const diff = useQuery({
    queryKey: [...sessionKey(session.number), 'diff', step ?? null, session.lastEvent],
    queryFn: async () =>
      (await request(DIFF, { number: session.number, step: step ?? null })).session?.diff ?? '',
    placeholderData: (before) => before,
  })
  if (diff.error) return <Problem>{words(diff.error)}</Problem>
  if (!diff.data)
    return <p className="empty">{diff.isPending ? 'Reading the changes …' : 'Nothing was changed yet.'}</p>
  return (
    <div className="changes-scroll" ref={setBox}>
      <DiffView text={diff.data} split={false} scroller={box} />
    </div>
  )
}

function PullRequest({ change }: { change: Change }) {
  const { session } = useSession()
  const client = useQueryClient()
  // State and not a ref: the rows can be laid out only once the box is there.
  const [box, setBox] = useState<HTMLElement | null>(null)
  const roomy = useMedia('(min-width: 1100px)')
  const [split, setSplit] = useState(false)
  const query = useQuery(pullQuery(session.repository, change))
  const comment = useMutation({
    mutationFn: (input: { body: string; path?: string; line?: number }) =>
      request(COMMENT, { repository: session.repository, number: change.pullRequest ?? 0, ...input }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['pull', session.repository, change.pullRequest] }),
  })
  if (query.error) return <Problem>{words(query.error)}</Problem>
  const pull = query.data
  if (pull === undefined) return <p className="empty">Reading #{change.pullRequest} …</p>
  if (pull === null) return <p className="empty">#{change.pullRequest} is gone.</p>
  const sideBySide = split && roomy
  return (
    <section className="changes-scroll" ref={setBox} tabIndex={0} aria-label={`Pull request #${pull.number}`}>
      <header className="pull-head">
        <div className="row wrap">
          <h2 className="grow">
            <Text>{pull.title}</Text> <span className="muted">#{pull.number}</span>
          </h2>
          {roomy ? (
            <Button look="small" aria-pressed={split} onClick={() => setSplit(!split)}>
              {split ? <Rows2 size={14} /> : <Columns2 size={14} />} {split ? 'One column' : 'Side by side'}
            </Button>
          ) : null}
          <PullActions pull={pull} />
        </div>
        <p className="small muted">
          <code>
            <Text>{pull.head}</Text>
          </code>{' '}
          into{' '}
          <code>
            <Text>{pull.base}</Text>
          </code>{' '}
          · {plural(pull.commits.length, 'commit')} · by <Text>{pull.author}</Text>
        </p>
        {pull.body.trim() ? <Markdown>{pull.body}</Markdown> : null}
        {pull.checks.length > 0 ? (
          <ul className="checks" aria-label="Checks">
            {pull.checks.map((check) => (
              <li key={check.name} className="row small">
                <State look={check.passed ? stepLook('COMPLETED') : stepLook('FAILED')} />
                <Text>{check.name}</Text>
                <span className="muted clip">
                  <Text>{check.summary}</Text>
                </span>
              </li>
            ))}
          </ul>
        ) : null}
        {pull.comments.map((each) => (
          <CommentBox key={each.id} comment={each} />
        ))}
        <Write place={null} onSend={(body) => comment.mutateAsync({ body })} />
      </header>
      <DiffView
        text={pull.diff}
        split={sideBySide}
        threads={pull.threads}
        onComment={(place, body) => comment.mutateAsync({ ...place, body })}
        scroller={box}
      />
    </section>
  )
}

function PullActions({ pull }: { pull: Pull }) {
  const { session } = useSession()
  const client = useQueryClient()
  const [asking, setAsking] = useState<'merge' | 'revise' | null>(null)
  const [instructions, setInstructions] = useState('')
  const [squash, setSquash] = useState(false)
  const act = useMutation({
    mutationFn: (act: () => Promise<unknown>) => act(),
    onSuccess: () => setAsking(null),
    onSettled: () =>
      Promise.all([
        client.invalidateQueries({ queryKey: ['pull'] }),
        client.invalidateQueries({ queryKey: sessionKey(session.number), exact: true }),
      ]),
  })
  const { number } = pull
  const { repository } = session
  const revise = () =>
    act.mutate(async () => {
      const answer = await request(REVISE, { repository, number, instructions: instructions.trim() || null })
      setInstructions('')
      say(`Queued: ${answer.revisePullRequest.queued.join(', ')}`)
    })
  const ready = () =>
    act.mutate(async () => {
      await request(READY, { repository, number })
      say(`#${number} is ready for review.`)
    })
  const merge = () =>
    act.mutate(async () => {
      const { mergePullRequest } = await request(MERGE, { repository, number, squash })
      say(
        [`#${number} is merged as ${mergePullRequest.commit.slice(0, 8)}.`, ...mergePullRequest.notes].join(
          ' ',
        ),
      )
    })
  if (pull.state === 'MERGED' || pull.state === 'CLOSED')
    return <span className="badge">{changeLook(pull.state).words}</span>
  const open = pull.threads.filter((thread) => !thread.resolved).length + pull.comments.length
  return (
    <>
      <Button look="small" onClick={() => setAsking('revise')}>
        <WandSparkles size={14} /> Revise …
      </Button>
      {pull.state === 'DRAFT' ? (
        <Button look="small primary" title="A draft is not merged" disabled={act.isPending} onClick={ready}>
          <CircleCheck size={14} /> Ready for review
        </Button>
      ) : (
        <Button look="small primary" onClick={() => setAsking('merge')}>
          <GitMerge size={14} /> Merge …
        </Button>
      )}
      {asking === 'revise' ? (
        <Dialog title={`Revise #${number}`} onClose={() => setAsking(null)}>
          <div className="stack">
            <p>
              The agent reads {open === 0 ? 'the pull request' : `all ${plural(open, 'comment')}`} at once and
              works them in.
            </p>
            <textarea
              className="input"
              rows={3}
              aria-label="More to say"
              placeholder="Anything else that it should know (not needed)"
              value={instructions}
              onChange={(event) => setInstructions(event.target.value)}
            />
            <div className="actions">
              <Button onClick={() => setAsking(null)}>Cancel</Button>
              <Button look="primary" disabled={act.isPending} onClick={revise}>
                Revise
              </Button>
            </div>
          </div>
        </Dialog>
      ) : null}
      {asking === 'merge' ? (
        <Dialog title={`Merge #${number}?`} onClose={() => setAsking(null)}>
          <div className="stack">
            <p>
              It goes into{' '}
              <code>
                <Text>{pull.base}</Text>
              </code>
              . What stands on it is moved along.
            </p>
            {pull.checks.some((check) => !check.passed) ? (
              <p className="callout wait">
                Not every check passed:{' '}
                {pull.checks
                  .filter((check) => !check.passed)
                  .map((check) => check.name)
                  .join(', ')}
              </p>
            ) : null}
            <label className="row">
              <input type="checkbox" checked={squash} onChange={(event) => setSquash(event.target.checked)} />{' '}
              as one commit
            </label>
            <div className="actions">
              <Button onClick={() => setAsking(null)}>Cancel</Button>
              <Button look="primary" disabled={act.isPending} onClick={merge}>
                Merge
              </Button>
            </div>
          </div>
        </Dialog>
      ) : null}
    </>
  )
}
