import { Check, ChevronRight, Ellipsis, Pencil, Play, RotateCcw, Trash2, Undo2, X } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { Button, Dialog, Menu, MenuItem } from '../../ui/controls'
import { duration, money } from '../../ui/format'
import { Markdown } from '../../ui/Markdown'
import { actionWords, changeLook, State, stepLook } from '../../ui/State'
import { Text } from '../../ui/Text'
import { useAct } from './actions'
import { useSession } from './context'
import type { Step } from './queries'
import { SessionLink } from './SessionLink'

const StepEditor = lazy(() => import('./StepEditor').then(({ StepEditor }) => ({ default: StepEditor })))

/** Tags before a title, such as `[CONDITIONAL]`, in words. */
const TAGS: Record<string, string> = {
  'NO-CODE-CHANGE': 'no code change',
  CONDITIONAL: 'conditional',
  MANUAL: 'by hand',
}

export function taggedTitle(title: string): { tags: string[]; text: string } {
  const tags: string[] = []
  let text = title
  for (;;) {
    const match = /^\[([A-Z-]+)\]\s*/.exec(text)
    const tag = match?.[1] ? TAGS[match[1]] : undefined
    if (!match || !tag) return { tags, text }
    tags.push(tag)
    text = text.slice(match[0].length)
  }
}

export function Steps() {
  const { session, actions } = useSession()
  const act = useAct(session.number)
  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set())
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
  const hidden = (step: Step) => [...closed].some((number) => step.number.startsWith(`${number}.`))
  const waiting = session.queue.filter(
    (action) => action.state === 'QUEUED' && action.kind !== 'execute_step',
  )
  return (
    <div className="steps">
      <ol aria-label="Steps">
        {session.steps
          .filter((step) => !hidden(step))
          .map((step) => (
            <StepRow
              key={step.number}
              step={step}
              closed={closed.has(step.number)}
              onFold={() =>
                setClosed((before) => {
                  const next = new Set(before)
                  if (!next.delete(step.number)) next.add(step.number)
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

function StepRow({ step, closed, onFold }: { step: Step; closed: boolean; onFold: () => void }) {
  const { session, actions } = useSession()
  const act = useAct(session.number)
  const [open, setOpen] = useState(false)
  const [editing, setEditing] = useState(false)
  const [asking, setAsking] = useState<'delete' | 'revert' | null>(null)
  const look = stepLook(step.state, step.reason)
  const { tags, text } = taggedTitle(step.title)
  const depth = step.number.split('.').length - 1
  const children = session.steps.filter((other) => other.leaf && other.number.startsWith(`${step.number}.`))
  const done = children.filter((other) => other.state === 'COMPLETED').length
  const completed = step.state === 'COMPLETED'
  const failed = step.state === 'FAILED'
  const idle = step.state === 'NOT_STARTED' || failed
  const version = session.runbook?.version ?? 0
  const queued = session.queue.find((action) => action.step === step.number && action.state === 'QUEUED')
  const change = session.changes.find(
    (each) => each.pullRequest !== null && each.pullRequest === step.pullRequest,
  )
  const title = <Text>{text}</Text>
  return (
    <li className={`step ${step.leaf ? 'leaf' : 'parent'} ${look.tone}`} data-depth={Math.min(depth, 3)}>
      <div className="step-row">
        <button
          type="button"
          className="step-open"
          aria-expanded={step.leaf ? open : !closed}
          onClick={step.leaf ? () => setOpen(!open) : onFold}
        >
          <ChevronRight size={14} className="chevron" aria-hidden="true" />
          <State look={look} />
          <span className="step-number">{step.number}</span>
          <span className="step-title">{title}</span>
        </button>
        {tags.map((tag) => (
          <span key={tag} className="badge tag">
            {tag}
          </span>
        ))}
        <span className="grow" />
        <span className={`step-words ${look.tone}`}>
          {step.leaf ? (step.state === 'NOT_STARTED' ? '' : look.words) : `${done}/${children.length}`}
        </span>
        {change ? (
          <SessionLink to={{ tab: 'changes', change: change.pullRequest ?? undefined }} className="badge">
            #{change.pullRequest} {changeLook(change.state).words}
          </SessionLink>
        ) : null}
        <span className="step-figure">{step.usage.cost > 0 ? money(step.usage.cost) : ''}</span>
        <span className="step-figure">{step.seconds > 0 ? duration(step.seconds) : ''}</span>
        <span className="step-actions">
          {failed && step.leaf ? (
            <Button
              look="small icon"
              aria-label={`Retry ${step.number}`}
              title="Retry"
              disabled={act.isPending}
              onClick={() => act.mutate(() => actions.retry())}
            >
              <RotateCcw size={13} />
            </Button>
          ) : idle ? (
            <Button
              look="small icon"
              aria-label={`Execute up to ${step.number}`}
              title={`Execute everything up to ${step.number}`}
              disabled={act.isPending}
              onClick={() => act.mutate(() => actions.execute(step.number))}
            >
              <Play size={12} fill="currentColor" />
            </Button>
          ) : queued ? (
            <Button
              look="small icon"
              aria-label={`Take ${step.number} out of the queue`}
              title="Take out of the queue"
              disabled={act.isPending}
              onClick={() => act.mutate(() => actions.cancel(queued.id))}
            >
              <X size={13} />
            </Button>
          ) : null}
          <Menu label={`More for ${step.number}`} look="quiet small icon" trigger={<Ellipsis size={14} />}>
            <MenuItem disabled={!idle} onClick={() => setEditing(true)}>
              <Pencil size={14} /> Edit
            </MenuItem>
            {step.leaf ? (
              <MenuItem disabled={!idle} onClick={() => act.mutate(() => actions.markDone(step.number))}>
                <Check size={14} /> Mark done
              </MenuItem>
            ) : null}
            <MenuItem disabled={!completed} onClick={() => setAsking('revert')}>
              <Undo2 size={14} /> Revert …
            </MenuItem>
            <hr />
            <MenuItem className="danger" disabled={!idle} onClick={() => setAsking('delete')}>
              <Trash2 size={14} /> Delete …
            </MenuItem>
          </Menu>
        </span>
      </div>
      {editing ? (
        <Suspense fallback={<p className="step-body muted">Opening the editor …</p>}>
          <StepEditor step={step} onClose={() => setEditing(false)} />
        </Suspense>
      ) : (step.leaf ? open : !closed) && step.body.trim() !== '' ? (
        <div className="step-body">
          <Markdown>{step.body}</Markdown>
        </div>
      ) : null}
      {asking ? (
        <Dialog
          title={asking === 'delete' ? `Delete step ${step.number}?` : `Revert step ${step.number}?`}
          onClose={() => setAsking(null)}
        >
          <div className="stack">
            <p>
              {asking === 'delete'
                ? 'The runbook gets a new version without it; the numbers after it move up. Earlier versions keep it.'
                : 'Its work is taken back by a new commit, and it can be executed again.'}
            </p>
            <div className="actions">
              <Button onClick={() => setAsking(null)}>Cancel</Button>
              <Button
                look="danger"
                disabled={act.isPending}
                onClick={() =>
                  act.mutate(
                    () =>
                      asking === 'delete'
                        ? actions.deleteStep(version, step.number)
                        : actions.revert(step.number),
                    { onSettled: () => setAsking(null) },
                  )
                }
              >
                {asking === 'delete' ? 'Delete' : 'Revert'}
              </Button>
            </div>
          </div>
        </Dialog>
      ) : null}
    </li>
  )
}
