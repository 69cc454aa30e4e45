import { type ErrorComponentProps, Link } from '@tanstack/react-router'
import { words } from '../graphql/errors'
import { Button } from '../ui/controls'

export function NotFound() {
  return (
    <main className="lost">
      <h1>There is nothing here</h1>
      <p className="muted">The address may be mistyped, or what was here is gone or not for you.</p>
      <Link to="/" className="button">
        Go home
      </Link>
    </main>
  )
}

/** What is shown when a page cannot be: what happened, what is kept, what to do. */
export function Crashed({ error, reset }: ErrorComponentProps) {
  return (
    <main className="lost" role="alert">
      <h1>This page could not be shown</h1>
      <p>{words(error)}</p>
      <p className="muted">Sessions go on working, and all that happened is kept.</p>
      <div className="row">
        <Button look="primary" onClick={() => window.location.reload()}>
          Reload
        </Button>
        <Button onClick={reset}>Try again</Button>
      </div>
    </main>
  )
}
