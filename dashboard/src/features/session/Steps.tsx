import { X } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { Button } from '../../ui/controls'
import { actionWords, changeLook, State, stepLook } from '../../ui/State'
import { Text } from '../../ui/Text'
import { useAct } from './actions'
import { useSession } from './context'
import type { Step } from './queries'
import { SessionLink } from './SessionLink'
import { StepRow } from './StepRow'

export function Steps() {
  const { session, actions } = useSession()
  const act = useAct(session.number)
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set())
  const list = useRef<HTMLOListElement>(null)
  const moved = useRef<string | null>(null)
  const version = session.runbook?.version
  // Whoever moves a step by keys goes along with it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new version is what moves it
  useEffect(() => {
    if (moved.current)
      list.current?.querySelector<HTMLElement>(`[data-step="${moved.current}"] .step-open`)?.focus()
    moved.current = null
  }, [version])
  if (session.steps.length === 0)
    return (
      <div className="empty">
        <p>
          {session.phase.kind === 'PLAN_FAILED'
            ? 'There is no plan: planning failed.'
            : 'The plan appears here, step by step, once it is written.'}
        </p>
      </div>
    )
  const folded = session.steps.filter((step) => closed.has(step.id))
  const hidden = (step: Step) => folded.some((parent) => step.number.startsWith(`${parent.number}.`))
  const waiting = session.queue.filter(
    (action) => action.state === 'QUEUED' && action.kind !== 'execute_step',
  )
  return (
    <div className="steps">
      <ol aria-label="Steps" ref={list}>
        {session.steps
          .filter((step) => !hidden(step))
          .map((step) => (
            <StepRow
              key={step.id}
              step={step}
              closed={closed.has(step.id)}
              onMove={() => {
                moved.current = step.id
              }}
              onFold={() =>
                setClosed((before) => {
                  const next = new Set(before)
                  if (!next.delete(step.id)) next.add(step.id)
                  return next
                })
              }
            />
          ))}
      </ol>
      {waiting.length > 0 ? (
        <section className="queue" aria-label="Queue">
          <h3>Then</h3>
          {waiting.map((action) => (
            <p key={action.id} className="row small">
              <State look={stepLook('QUEUED')} />
              <span className="grow">
                {actionWords(action.kind)}
                {action.requestedBy ? (
                  <span className="muted">, asked by {action.requestedBy.name}</span>
                ) : null}
              </span>
              <Button
                look="quiet small icon"
                aria-label="Take out of the queue"
                onClick={() => act.mutate(() => actions.cancel(action.id))}
              >
                <X size={14} />
              </Button>
            </p>
          ))}
        </section>
      ) : null}
      <Stack />
    </div>
  )
}

/** The stack in one line: what is on what. */
export function Stack() {
  const { session } = useSession()
  if (session.changes.length === 0) return null
  return (
    <p className="stack-line small">
      <span className="muted">Stack</span>{' '}
      <code>
        <Text>{session.targetBranch}</Text>
      </code>
      {session.changes.map((change) => (
        <span key={change.id} className="row">
          <span className="muted" aria-hidden="true">
            ◀─
          </span>
          <SessionLink to={{ tab: 'changes', change: change.pullRequest ?? undefined }}>
            {change.pullRequest ? `#${change.pullRequest}` : change.branch}
          </SessionLink>
          <span className="muted">{changeLook(change.state).words}</span>
        </span>
      ))}
    </p>
  )
}
