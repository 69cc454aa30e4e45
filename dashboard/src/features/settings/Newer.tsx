import { useState } from 'react'
import { CodeCompare } from '../../ui/CodeCompare'
import { Button } from '../../ui/controls'

/** Somebody saved while one was writing: both texts, and the choice between them. */
export function Newer({
  theirs,
  mine,
  onTake,
  onKeep,
}: {
  theirs: string
  mine: string
  onTake: () => void
  onKeep: () => void
}) {
  const [comparing, setComparing] = useState(false)
  return (
    <>
      <div className="callout wait" role="alert">
        <div className="grow">
          <strong>A newer version was saved while you were writing.</strong> Yours is kept here. Look at what
          differs, then keep yours or take theirs.
        </div>
        <Button look="small" aria-pressed={comparing} onClick={() => setComparing(!comparing)}>
          {comparing ? 'Hide what differs' : 'Compare'}
        </Button>
        <Button look="small" onClick={onTake}>
          Take theirs
        </Button>
        <Button look="small" onClick={onKeep}>
          Keep mine
        </Button>
      </div>
      {comparing ? (
        <div className="knowledge-text">
          <CodeCompare label="Your text compared with theirs" before={theirs} after={mine} />
        </div>
      ) : null}
    </>
  )
}
