import {
  ArrowDown,
  ArrowUp,
  Check,
  ChevronRight,
  CornerDownRight,
  Ellipsis,
  ListRestart,
  Pencil,
  Play,
  RotateCcw,
  SkipForward,
  Trash2,
  Undo2,
  X,
} from 'lucide-react'
import { type KeyboardEvent, lazy, Suspense, useState } from 'react'
import { Ago, Button, Menu, MenuItem } from '../../ui/controls'
import { duration, money } from '../../ui/format'
import { Markdown } from '../../ui/Markdown'
import { changeLook, State, stepLook } from '../../ui/State'
import { Text } from '../../ui/Text'
import { say } from '../../ui/toast'
import { useAct } from './actions'
import { useSession } from './context'
import type { Step } from './queries'
import { SessionLink } from './SessionLink'
import { MoveStep, RemoveStep, RevertStep, SkipStep } from './StepDialogs'

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

/** What is asked about a step before it is done. */
type Asking = 'delete' | 'revert' | 'skip' | 'move'

/** A step's row; `onMove` is told before it changes its place. */
export function StepRow({
  step,
  closed,
  onFold,
  onMove,
}: {
  step: Step
  closed: boolean
  onFold: () => void
  onMove: () => void
}) {
  const { session, actions } = useSession()
  const act = useAct(session.number)
  const [open, setOpen] = useState(false)
  const [editing, setEditing] = useState(false)
  const [asking, setAsking] = useState<Asking | null>(null)
  const look = stepLook(step.state, step.reason)
  const { tags, text } = taggedTitle(step.title)
  const depth = step.number.split('.').length - 1
  const children = session.steps.filter((other) => other.leaf && other.number.startsWith(`${step.number}.`))
  const done = children.filter((other) => other.state === 'COMPLETED').length
  const completed = step.state === 'COMPLETED'
  const skipped = completed && step.reason === 'SKIPPED'
  const failed = step.state === 'FAILED'
  const idle = step.state === 'NOT_STARTED' || failed
  const rests = idle || skipped
  const version = session.runbook?.version ?? 0
  const queued = session.queue.find((action) => action.step === step.number && action.state === 'QUEUED')
  const change = session.changes.find(
    (each) => each.pullRequest !== null && each.pullRequest === step.pullRequest,
  )
  const move = (to: 'UP' | 'DOWN') => {
    if (act.isPending) return
    onMove()
    act.mutate(() => actions.moveStep(version, step, to))
  }
  const keys = (event: KeyboardEvent) => {
    if (!event.altKey || (event.key !== 'ArrowUp' && event.key !== 'ArrowDown')) return
    event.preventDefault()
    if (rests) move(event.key === 'ArrowUp' ? 'UP' : 'DOWN')
    else say(`Step ${step.number} stays where it is: ${look.words}.`)
  }
  return (
    <li
      className={`step ${step.leaf ? 'leaf' : 'parent'} ${look.tone}`}
      data-depth={Math.min(depth, 3)}
      data-step={step.id}
    >
      <div className="step-row">
        <button
          type="button"
          className="step-open"
          aria-expanded={step.leaf ? open : !closed}
          aria-keyshortcuts="Alt+ArrowUp Alt+ArrowDown"
          onClick={step.leaf ? () => setOpen(!open) : onFold}
          onKeyDown={keys}
        >
          <ChevronRight size={14} className="chevron" aria-hidden="true" />
          <State look={look} />
          <span className="step-number">{step.number}</span>
          <span className="step-title">
            <Text>{text}</Text>
          </span>
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
            {step.leaf && skipped ? (
              <MenuItem onClick={() => act.mutate(() => actions.unskipStep(version, step.number))}>
                <ListRestart size={14} /> Do it after all
              </MenuItem>
            ) : step.leaf ? (
              <MenuItem
                disabled={!idle && !queued && step.state !== 'WAITING'}
                onClick={() => setAsking('skip')}
              >
                <SkipForward size={14} /> Skip …
              </MenuItem>
            ) : null}
            {skipped ? null : (
              <MenuItem disabled={!completed} onClick={() => setAsking('revert')}>
                <Undo2 size={14} /> Revert …
              </MenuItem>
            )}
            <hr />
            <MenuItem disabled={!rests} onClick={() => move('UP')}>
              <ArrowUp size={14} /> Move up
            </MenuItem>
            <MenuItem disabled={!rests} onClick={() => move('DOWN')}>
              <ArrowDown size={14} /> Move down
            </MenuItem>
            <MenuItem disabled={!rests} onClick={() => setAsking('move')}>
              <CornerDownRight size={14} /> Move to …
            </MenuItem>
            <hr />
            <MenuItem className="danger" disabled={!rests} onClick={() => setAsking('delete')}>
              <Trash2 size={14} /> Delete …
            </MenuItem>
          </Menu>
        </span>
      </div>
      {step.skip ? <Skipped skip={step.skip} /> : null}
      {editing ? (
        <Suspense fallback={<p className="step-body muted">Opening the editor …</p>}>
          <StepEditor step={step} onClose={() => setEditing(false)} />
        </Suspense>
      ) : (step.leaf ? open : !closed) && step.body.trim() !== '' ? (
        <div className="step-body">
          <Markdown>{step.body}</Markdown>
        </div>
      ) : null}
      {asking === 'delete' ? <RemoveStep step={step} onClose={() => setAsking(null)} /> : null}
      {asking === 'revert' ? <RevertStep step={step} onClose={() => setAsking(null)} /> : null}
      {asking === 'skip' ? <SkipStep step={step} onClose={() => setAsking(null)} /> : null}
      {asking === 'move' ? <MoveStep step={step} onMove={onMove} onClose={() => setAsking(null)} /> : null}
    </li>
  )
}

/** Why a step was skipped: always in sight, since it looks like one that was done. */
function Skipped({ skip }: { skip: NonNullable<Step['skip']> }) {
  return (
    <p className="step-note small">
      <span className="muted">
        Skipped by {skip.by ? <Text>{skip.by.name}</Text> : 'the agent'}, <Ago at={skip.at} />
        {skip.reason ? ': ' : ''}
      </span>
      <Text>{skip.reason}</Text>
    </p>
  )
}
