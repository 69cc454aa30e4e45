import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { words } from '../../graphql/errors'
import { CodeCompare } from '../../ui/CodeCompare'
import { CodeEditor, type Problem } from '../../ui/CodeEditor'
import { Button, Problem as ProblemBox } from '../../ui/controls'
import { plural, relative } from '../../ui/format'
import { say } from '../../ui/toast'
import { useAct } from './actions'
import { useSession } from './context'
import { lintRunbook, runbookQuery } from './queries'

/** The whole runbook: read, edited, compared with what it was, brought back. */
export function Document() {
  const { session } = useSession()
  const newest = session.runbook?.version
  const [version, setVersion] = useState<number | null>(null)
  const [against, setAgainst] = useState<number | null>(null)
  if (newest === undefined) return <p className="empty">The runbook appears here once it is written.</p>
  const shown = version ?? newest
  return (
    <div className="document">
      <div className="document-bar">
        <label className="row small">
          Version
          <select
            className="input"
            value={shown}
            onChange={(event) => {
              const chosen = Number(event.target.value)
              setVersion(chosen === newest ? null : chosen)
              setAgainst(null)
            }}
          >
            {session.versions.toReversed().map((each) => (
              <option key={each.version} value={each.version}>
                {each.version} · {each.author?.name ?? 'Agent'} · {relative(each.createdAt, Date.now())}
                {each.restores ? ` · brings back ${each.restores}` : ''}
              </option>
            ))}
          </select>
        </label>
        {session.versions.length > 1 ? (
          <label className="row small">
            Compare with
            <select
              className="input"
              value={against ?? ''}
              onChange={(event) => setAgainst(event.target.value === '' ? null : Number(event.target.value))}
            >
              <option value="">nothing</option>
              {session.versions
                .filter((each) => each.version !== shown)
                .toReversed()
                .map((each) => (
                  <option key={each.version} value={each.version}>
                    {each.version}
                  </option>
                ))}
            </select>
          </label>
        ) : null}
        <span className="grow" />
        {shown !== newest ? <Restore version={shown} onDone={() => setVersion(null)} /> : null}
      </div>
      {against !== null || shown !== newest ? (
        <Older version={shown} against={against} />
      ) : (
        <Editor newest={newest} />
      )}
    </div>
  )
}

function Restore({ version, onDone }: { version: number; onDone: () => void }) {
  const { session, actions } = useSession()
  const act = useAct(session.number)
  return (
    <Button
      disabled={act.isPending}
      onClick={() =>
        act.mutate(() => actions.restore(version), {
          onSuccess: () => {
            say(`Version ${version} is back, as a new version.`)
            onDone()
          },
        })
      }
    >
      Bring back version {version}
    </Button>
  )
}

function Older({ version, against }: { version: number; against: number | null }) {
  const { session } = useSession()
  const shown = useQuery(runbookQuery(session.number, version))
  const before = useQuery({ ...runbookQuery(session.number, against ?? version), enabled: against !== null })
  const error = shown.error ?? before.error
  if (error) return <ProblemBox>{words(error)}</ProblemBox>
  if (!shown.data || (against !== null && !before.data)) return <p className="empty">Reading …</p>
  if (against !== null && before.data)
    return (
      <CodeCompare
        label={`Version ${version} compared with ${against}`}
        before={before.data.body}
        after={shown.data.body}
      />
    )
  return <CodeEditor label={`Version ${version} of the runbook`} text={shown.data.body} />
}

function Editor({ newest }: { newest: number }) {
  const { session, actions } = useSession()
  const act = useAct(session.number, true)
  // The version that the text began from; it moves on only when there is nothing of one's own to lose.
  const [base, setBase] = useState(newest)
  const [text, setText] = useState<string | null>(null)
  const [problems, setProblems] = useState<readonly Problem[]>([])
  const [comparing, setComparing] = useState(false)
  const original = useQuery(runbookQuery(session.number, base))
  const other = useQuery({ ...runbookQuery(session.number, newest), enabled: newest !== base })
  const body = original.data?.body
  const dirty = text !== null && text !== body
  useEffect(() => {
    if (!dirty && newest !== base) {
      setBase(newest)
      setText(null)
    }
  }, [dirty, newest, base])
  if (original.error) return <ProblemBox>{words(original.error)}</ProblemBox>
  if (body === undefined) return <p className="empty">Reading the runbook …</p>
  const conflict = dirty && newest !== base
  const keepMine = () => {
    setBase(newest)
    setComparing(false)
  }
  const save = () => {
    const written = text
    if (!dirty || written === null || act.isPending || conflict) return
    act.mutate(() => actions.editRunbook(base, written), {
      onSuccess: () => {
        say(`Saved as version ${base + 1}.`)
        setText(null)
      },
    })
  }
  return (
    <>
      {conflict ? (
        <div className="callout wait" role="alert">
          <div className="grow">
            <strong>Version {newest} was saved while you were writing.</strong> Your text is kept here. Look
            at what differs, then keep yours or take theirs.
          </div>
          <Button look="small" aria-pressed={comparing} onClick={() => setComparing(!comparing)}>
            {comparing ? 'Back to my text' : 'Compare'}
          </Button>
          <Button look="small" onClick={() => setText(null)}>
            Take theirs
          </Button>
          <Button look="small" onClick={keepMine}>
            Keep mine
          </Button>
        </div>
      ) : null}
      {comparing && conflict && other.data ? (
        <CodeCompare label="Your text compared with theirs" before={other.data.body} after={text ?? body} />
      ) : (
        <CodeEditor
          label="Runbook"
          text={text ?? body}
          onChange={setText}
          check={lintRunbook}
          onProblems={setProblems}
          onSave={save}
        />
      )}
      {act.error ? <ProblemBox>{words(act.error)}</ProblemBox> : null}
      <footer className="document-foot">
        <div className="grow small" role="status">
          {problems.length === 0 ? (
            <span className="muted">No problems</span>
          ) : (
            <span className="problem">
              {plural(problems.length, 'problem')}. Line {problems[0]?.line}: {problems[0]?.message}
              {problems[0]?.help ? <span className="muted"> ({problems[0].help})</span> : null}
            </span>
          )}
        </div>
        <Button disabled={!dirty} onClick={() => setText(null)}>
          Discard
        </Button>
        <Button look="primary" disabled={!dirty || act.isPending || conflict} onClick={save}>
          Save version {base + 1}
        </Button>
      </footer>
    </>
  )
}
