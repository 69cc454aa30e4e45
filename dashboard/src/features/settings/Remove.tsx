import { useState } from 'react'
import { Button, Dialog } from '../../ui/controls'
import { marked } from '../../ui/safe-text'

/** A button that removes something once the person has said so twice. */
export function Remove({
  title,
  pending,
  onRemove,
  children,
}: {
  title: string
  pending: boolean
  onRemove: () => void
  children: string
}) {
  const [asking, setAsking] = useState(false)
  return (
    <>
      <Button look="quiet" onClick={() => setAsking(true)}>
        Remove …
      </Button>
      {asking ? (
        <Dialog title={`Remove “${marked(title)}”?`} onClose={() => setAsking(false)}>
          <div className="stack">
            <p>{children}</p>
            <div className="actions">
              <Button onClick={() => setAsking(false)}>Cancel</Button>
              <Button
                look="danger"
                disabled={pending}
                onClick={() => {
                  setAsking(false)
                  onRemove()
                }}
              >
                Remove
              </Button>
            </div>
          </div>
        </Dialog>
      ) : null}
    </>
  )
}
