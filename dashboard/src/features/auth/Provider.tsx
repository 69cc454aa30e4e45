import { useMutation } from '@tanstack/react-query'
import { ApiError, words } from '../../graphql/errors'
import { Button, Problem } from '../../ui/controls'
import { startAtProvider } from './auth'
import { refusal } from './refused'

/** Leads to the provider, which leads back to `next`. */
export function AtProvider({ label, next, only }: { label: string; next: string; only: boolean }) {
  const start = useMutation({
    mutationFn: () => startAtProvider(next),
    meta: { showsErrors: true },
    onSuccess: ({ url }) => window.location.assign(url),
  })
  const told = start.error instanceof ApiError ? refusal(start.error.code) : undefined
  return (
    <div className="stack">
      {start.error ? <Problem>{told ? told.join(' ') : words(start.error)}</Problem> : null}
      <Button
        look={only ? 'primary' : ''}
        disabled={start.isPending || start.isSuccess}
        onClick={() => start.mutate()}
      >
        {start.isPending || start.isSuccess ? `Going to ${label} …` : `Sign in with ${label}`}
      </Button>
    </div>
  )
}
