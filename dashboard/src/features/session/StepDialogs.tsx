import { useState } from 'react'
import { words } from '../../graphql/errors'
import { Button, Dialog, SelectField, TextField } from '../../ui/controls'
import { marked } from '../../ui/safe-text'
import { useAct } from './actions'
import { useSession } from './context'
import type { Step } from './queries'

interface Props {
  step: Step
  onClose: () => void
}

/** A question before something is done to a step; what the server refuses stands in it. */
function Ask({
  title,
  act,
  label,
  danger = false,
  disabled = false,
  onClose,
  children,
}: {
  title: string
  act: () => Promise<unknown>
  label: string
  danger?: boolean
  disabled?: boolean
  onClose: () => void
  children: React.ReactNode
}) {
  const { session } = useSession()
  const acting = useAct(session.number, true)
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          if (!disabled && !acting.isPending) acting.mutate(act, { onSuccess: onClose })
        }}
      >
        {children}
        {acting.error ? (
          <p className="problem" role="alert">
            {words(acting.error)}
          </p>
        ) : null}
        <div className="actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look={danger ? 'danger' : 'primary'} disabled={disabled || acting.isPending}>
            {label}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

export function RemoveStep({ step, onClose }: Props) {
  const { actions } = useSession()
  const version = useVersion()
  return (
    <Ask
      title={`Delete step ${step.number}?`}
      act={() => actions.deleteStep(version, step.number)}
      label="Delete"
      danger
      onClose={onClose}
    >
      <p>
        The runbook gets a new version without it; the numbers after it move up. Earlier versions keep it.
      </p>
    </Ask>
  )
}

export function RevertStep({ step, onClose }: Props) {
  const { actions } = useSession()
  return (
    <Ask
      title={`Revert step ${step.number}?`}
      act={() => actions.revert(step.number)}
      label="Revert"
      danger
      onClose={onClose}
    >
      <p>Its work is taken back by a new commit, and it can be executed again.</p>
    </Ask>
  )
}

export function SkipStep({ step, onClose }: Props) {
  const { actions } = useSession()
  const version = useVersion()
  const [reason, setReason] = useState('')
  return (
    <Ask
      title={`Skip step ${step.number}?`}
      act={() => actions.skipStep(version, step.number, reason)}
      label="Skip"
      disabled={reason.trim() === ''}
      onClose={onClose}
    >
      <p>It counts as done without being done, and what comes after it goes on. You can take that back.</p>
      <TextField
        label="Why is it not done?"
        hint="Everybody sees it at the step."
        value={reason}
        onValue={setReason}
        maxLength={1000}
        autoFocus
      />
    </Ask>
  )
}

const PLACES = { BEFORE: 'Before', AFTER: 'After', INTO: 'In' } as const

export function MoveStep({ step, onMove, onClose }: Props & { onMove: () => void }) {
  const { session, actions } = useSession()
  const version = useVersion()
  const others = session.steps.filter(
    (other) => other.id !== step.id && !other.number.startsWith(`${step.number}.`),
  )
  const [place, setPlace] = useState<keyof typeof PLACES>('AFTER')
  const [of, setOf] = useState(others.at(-1)?.id ?? '')
  const other = others.find((each) => each.id === of)
  return (
    <Ask
      title={`Move step ${step.number}`}
      act={() => {
        onMove()
        return actions.moveStep(version, step, place, other?.number)
      }}
      label="Move"
      disabled={!other}
      onClose={onClose}
    >
      <SelectField label="Where to" value={place} onValue={setPlace}>
        <option value="BEFORE">Before a step</option>
        <option value="AFTER">After a step</option>
        <option value="INTO">In a step, as its last part</option>
      </SelectField>
      <SelectField label="Which step" value={of} onValue={setOf}>
        {others.map((each) => (
          <option key={each.id} value={each.id}>
            {each.number} {marked(each.title)}
          </option>
        ))}
      </SelectField>
      <p className="muted small">Its parts go with it, and every step keeps its state.</p>
    </Ask>
  )
}

/** The version that is looked at when the question is asked: a newer one is a conflict, not another step. */
function useVersion(): number {
  const { session } = useSession()
  const [version] = useState(session.runbook?.version ?? 0)
  return version
}
