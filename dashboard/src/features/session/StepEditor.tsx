import { useState } from 'react'
import { words } from '../../graphql/errors'
import { CodeEditor, type Problem } from '../../ui/CodeEditor'
import { Button } from '../../ui/controls'
import { plural } from '../../ui/format'
import { useAct } from './actions'
import { useSession } from './context'
import { lintRunbook, type Step } from './queries'

/** A step's title and text, edited where they stand. */
export function StepEditor({ step, onClose }: { step: Step; onClose: () => void }) {
  const { session, actions } = useSession()
  const act = useAct(session.number, true)
  const [text, setText] = useState(`${step.title}\n${step.body ? `\n${step.body}\n` : ''}`)
  // The version that this edit began from: when there is a newer one by now, the server says so and nothing is lost.
  const [version, setVersion] = useState(session.runbook?.version ?? 0)
  const [problems, setProblems] = useState<readonly Problem[]>([])
  const newer = (session.runbook?.version ?? 0) > version
  const save = () => act.mutate(() => actions.editStep(version, step.number, text), { onSuccess: onClose })
  return (
    <div className="step-edit">
      <CodeEditor
        label={`Step ${step.number}: the first line is its title`}
        text={text}
        onChange={setText}
        check={(text) => checkStep(step, text)}
        onProblems={setProblems}
        onSave={save}
        autoFocus
      />
      {act.error ? (
        <p className="problem" role="alert">
          {words(act.error)}
        </p>
      ) : null}
      <div className="row wrap">
        <span className="grow small muted" role="status">
          {newer
            ? 'Somebody saved a newer version meanwhile.'
            : problems.length > 0
              ? `${plural(problems.length, 'problem')}: ${problems[0]?.message}`
              : 'The first line is the title.'}
        </span>
        <Button onClick={onClose}>Cancel</Button>
        {newer ? (
          <Button onClick={() => setVersion(session.runbook?.version ?? 0)}>Keep my text anyway</Button>
        ) : (
          <Button look="primary" disabled={act.isPending} onClick={save}>
            Save
          </Button>
        )}
      </div>
    </div>
  )
}

/** Checks the step as a document of its own, renumbered so that it may stand alone; problems keep their lines. */
async function checkStep(step: Step, text: string): Promise<readonly Problem[]> {
  const [title = '', ...rest] = text.split('\n')
  if (title.trim() === '')
    return [
      {
        severity: 'error',
        message: `step ${step.number} has no title`,
        help: 'write it on the first line',
        line: 1,
        column: 1,
      },
    ]
  const prefix = '### Step 1: '
  const problems = await lintRunbook([prefix + title, ...rest].join('\n'))
  return problems.map((problem) => ({
    ...problem,
    column: problem.line === 1 ? Math.max(1, problem.column - prefix.length) : problem.column,
  }))
}
