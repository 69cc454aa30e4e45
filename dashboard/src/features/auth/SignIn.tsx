import { useMutation, useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useState } from 'react'
import { queryClient } from '../../app/queries'
import { words } from '../../graphql/errors'
import { Button, Problem, TextField } from '../../ui/controls'
import { useTitle } from '../../ui/hooks'
import { authState, signIn } from './auth'
import { Doorway } from './Doorway'
import { AtProvider } from './Provider'
import { refusal } from './refused'

/** A path on this site, or home: nobody is sent elsewhere after signing in. */
export const ownPath = (path: string | undefined): string =>
  path && /^\/(?![/\\])/.test(path) && !path.startsWith('/sign-in') ? path : '/'

export function SignIn() {
  useTitle('Sign in')
  const { next, refused, request } = useSearch({ from: '/sign-in' })
  const navigate = useNavigate()
  const [email, setEmail] = useState('')
  const [password, setPassword] = useState('')
  const state = useQuery({ queryKey: ['auth-state'], queryFn: authState })
  const enter = useMutation({
    mutationFn: () => signIn(email.trim(), password),
    meta: { showsErrors: true },
    onSuccess: async () => {
      queryClient.clear()
      await navigate({ to: ownPath(next) })
    },
  })
  if (state.data?.firstAdmin)
    return (
      <Doorway title="Welcome to Runyard">
        <p>Nobody has an account here yet.</p>
        <p className="muted">
          Open the link that <code>runyard serve</code> printed when it started: it makes the first admin. It
          works once; start the server again for a new one.
        </p>
      </Doorway>
    )
  const provider = state.data?.provider
  const withPassword = state.data?.password ?? true
  const told = refusal(refused)
  return (
    <Doorway title="Sign in">
      {told && !enter.error ? (
        <Problem>
          {told[0]} {told[1]}
          {request && /^[\w.-]{8,64}$/.test(request) ? (
            <span className="muted"> Request {request}.</span>
          ) : null}
        </Problem>
      ) : null}
      {withPassword ? (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault()
            enter.mutate()
          }}
        >
          {enter.error ? <Problem>{words(enter.error)}</Problem> : null}
          <TextField
            label="Mail address"
            type="email"
            autoComplete="username"
            required
            value={email}
            onValue={setEmail}
          />
          <TextField
            label="Password"
            type="password"
            autoComplete="current-password"
            required
            value={password}
            onValue={setPassword}
          />
          <Button type="submit" look="primary" disabled={enter.isPending}>
            {enter.isPending ? 'Signing in …' : 'Sign in'}
          </Button>
        </form>
      ) : null}
      {provider ? <AtProvider label={provider} next={ownPath(next)} only={!withPassword} /> : null}
      {withPassword ? (
        <p className="hint">
          Lost your password? An admin can send you a link, or run <code>runyard user reset-password</code>.
        </p>
      ) : null}
    </Doorway>
  )
}
