import { useMutation, useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useState } from 'react'
import { queryClient } from '../../app/queries'
import { ApiError, words } from '../../graphql/errors'
import { Button, Problem, TextField } from '../../ui/controls'
import { exact } from '../../ui/format'
import { useTitle } from '../../ui/hooks'
import { acceptLink, authState, type Invited, readLink } from './auth'
import { Doorway } from './Doorway'
import { AtProvider } from './Provider'

const TITLES = {
  first_admin: 'Set up Runyard',
  invitation: 'Join your team',
  password_reset: 'Choose a new password',
} as const

export function Welcome() {
  const { token } = useParams({ from: '/welcome/$token' })
  useTitle('Welcome')
  const link = useQuery({ queryKey: ['link', token], queryFn: () => readLink(token), retry: false })
  if (link.isPending) return <Doorway title="One moment">Checking your link …</Doorway>
  if (link.error)
    return (
      <Doorway title="This link does not work">
        <p>{words(link.error)}</p>
        <p className="muted">
          Ask whoever sent it for a new one. If you have a password already,{' '}
          <Link to="/sign-in">sign in</Link>.
        </p>
      </Doorway>
    )
  return <Form token={token} link={link.data} />
}

function Form({ token, link }: { token: string; link: Invited }) {
  const navigate = useNavigate()
  const [name, setName] = useState('')
  const [email, setEmail] = useState(link.email)
  const [password, setPassword] = useState('')
  const enter = useMutation({
    mutationFn: () =>
      acceptLink(token, {
        password,
        ...(link.purpose === 'password_reset' ? {} : { name: name.trim() }),
        ...(link.purpose === 'first_admin' ? { email: email.trim() } : {}),
      }),
    meta: { showsErrors: true },
    onSuccess: async () => {
      queryClient.clear()
      await navigate({ to: '/' })
    },
  })
  const state = useQuery({ queryKey: ['auth-state'], queryFn: authState })
  const invited = link.purpose === 'invitation'
  const provider = invited ? state.data?.provider : undefined
  const withPassword = !invited || (state.data?.password ?? true)
  const field = enter.error instanceof ApiError ? enter.error.field : undefined
  const problemOf = (name: string) => (field === name && enter.error ? words(enter.error) : undefined)
  return (
    <Doorway title={TITLES[link.purpose]}>
      <p className="muted">
        {link.purpose === 'first_admin'
          ? 'You become the first admin. You can invite others right after.'
          : link.purpose === 'invitation'
            ? `You were invited as ${link.email}, with the role ${link.role}.`
            : `For ${link.email}.`}{' '}
        The link works until {exact(link.expiresAt)}.
      </p>
      {provider ? (
        <>
          <AtProvider label={provider} next="/" only={!withPassword} />
          <p className="hint">
            The invitation is for whoever has this mail address there.
            {withPassword ? ' Or choose a password:' : null}
          </p>
        </>
      ) : null}
      {withPassword ? (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault()
            enter.mutate()
          }}
        >
          {enter.error && !field ? <Problem>{words(enter.error)}</Problem> : null}
          {link.purpose === 'password_reset' ? null : (
            <TextField
              label="Your name"
              hint="Commits and conversations carry it."
              problem={problemOf('name')}
              autoComplete="name"
              required
              value={name}
              onValue={setName}
            />
          )}
          {link.purpose === 'first_admin' ? (
            <TextField
              label="Mail address"
              problem={problemOf('email')}
              type="email"
              autoComplete="username"
              required
              value={email}
              onValue={setEmail}
            />
          ) : null}
          <TextField
            label="Password"
            hint="At least 10 characters; a few words are better than odd signs."
            problem={problemOf('password')}
            type="password"
            autoComplete="new-password"
            required
            value={password}
            onValue={setPassword}
          />
          <Button type="submit" look="primary" disabled={enter.isPending}>
            {link.purpose === 'password_reset' ? 'Set password and sign in' : 'Create account'}
          </Button>
        </form>
      ) : null}
    </Doorway>
  )
}
