import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useId } from 'react'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { Button, Problem, TextField } from '../../ui/controls'
import { say } from '../../ui/toast'
import { useVersioned } from './knowledge'
import { useMayDecide } from './Learnings'
import {
  ADD_LEARNING,
  CHANGE_LEARNING,
  draftOf,
  EMPTY,
  inputOf,
  LEARNINGS_KEY,
  type Learning,
  type LearningDraft,
} from './learnings'
import { Newer } from './Newer'

const whole = ({ pattern, solution, appliesTo, repositories }: LearningDraft) =>
  `${pattern}\n\n${solution}\n\nApplies to: ${appliesTo}\nAbout: ${repositories}\n`

/** Writes a new learning, or a new version of one in its place. */
export function LearningForm({ learning, onClose }: { learning: Learning | null; onClose: () => void }) {
  const client = useQueryClient()
  const may = useMayDecide()
  const solution = useId()
  const own = useVersioned<LearningDraft>(
    learning ? { version: learning.version, draft: draftOf(learning) } : { version: 0, draft: EMPTY },
  )
  const { draft } = own
  const set = (change: Partial<LearningDraft>) => own.write({ ...draft, ...change })
  const save = useMutation({
    meta: { showsErrors: true },
    mutationFn: async () => {
      if (!learning) return request(ADD_LEARNING, { input: inputOf(draft, may ? 'ACTIVE' : 'PROPOSED') })
      const input = inputOf(draft, learning.state)
      return request(CHANGE_LEARNING, { id: learning.id, expectedVersion: own.version, input })
    },
    onSuccess: () => {
      say(learning ? `Saved as version ${own.version + 1}.` : may ? 'Added.' : 'Proposed to the maintainers.')
      onClose()
    },
    // When somebody was faster, their version is read and shown beside one's own.
    onSettled: () => client.invalidateQueries({ queryKey: LEARNINGS_KEY }),
  })
  return (
    <form
      className="card learning stack"
      aria-label={learning ? 'Change learning' : 'New learning'}
      onSubmit={(event) => {
        event.preventDefault()
        save.mutate()
      }}
    >
      {own.conflict ? (
        <Newer theirs={whole(own.theirs)} mine={whole(draft)} onTake={own.takeTheirs} onKeep={own.keepMine} />
      ) : null}
      <TextField
        label="What one runs into"
        required
        maxLength={300}
        autoFocus
        value={draft.pattern}
        onValue={(pattern) => set({ pattern })}
      />
      <div className="field">
        <label htmlFor={solution}>What to do then</label>
        <textarea
          id={solution}
          className="input"
          required
          rows={4}
          maxLength={1500}
          value={draft.solution}
          onChange={(event) => set({ solution: event.target.value })}
        />
      </div>
      <div className="inline-form">
        <TextField
          label="Applies to"
          placeholder="whatever its words fit"
          hint="Files (* stands for anything), frameworks and commands, with commas between"
          value={draft.appliesTo}
          onValue={(appliesTo) => set({ appliesTo })}
        />
        <TextField
          label="About"
          placeholder="all repositories"
          hint="Names with commas between; * stands for anything"
          value={draft.repositories}
          onValue={(repositories) => set({ repositories })}
        />
      </div>
      {save.error ? <Problem>{words(save.error)}</Problem> : null}
      <div className="actions">
        <Button onClick={onClose}>Cancel</Button>
        <Button
          type="submit"
          look="primary"
          disabled={save.isPending || own.conflict || (learning !== null && !own.dirty)}
        >
          {learning ? 'Save' : may ? 'Add' : 'Propose'}
        </Button>
      </div>
    </form>
  )
}
