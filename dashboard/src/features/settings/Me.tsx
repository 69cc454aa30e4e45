import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { setTelling, type Telling, useTelling } from '../../app/attention'
import { viewerQuery } from '../../app/queries'
import { request } from '../../graphql/client'
import { ApiError, words } from '../../graphql/errors'
import { graphql } from '../../graphql/graphql'
import { Ago, Button, TextField } from '../../ui/controls'
import { useTitle } from '../../ui/hooks'
import { marked } from '../../ui/safe-text'
import { Text } from '../../ui/Text'
import { say } from '../../ui/toast'

const RENAME = graphql(`
  mutation Rename($name: String!) { renameMyself(name: $name) { name } }
`)
const CHANGE_PASSWORD = graphql(`
  mutation ChangePassword($current: String!, $next: String!) {
    changePassword(current: $current, new: $next) { role }
  }
`)
const SIGN_OUT_EVERYWHERE = graphql(`
  mutation SignOutEverywhere { signOutEverywhere { role } }
`)

export function Me() {
  useTitle('You')
  const viewer = useQuery(viewerQuery).data
  if (!viewer) return null
  return (
    <>
      <h1>You</h1>
      {viewer.person ? (
        <Name
          key={viewer.person.name}
          name={viewer.person.name}
          email={viewer.person.email}
          role={viewer.role}
        />
      ) : null}
      <Notifications />
      <Password />
      <SignIns />
    </>
  )
}

const TELLING: Record<Telling, string> = {
  on: 'This browser tells you when a session waits for you, has a plan, fails or is done, while you look elsewhere.',
  off: 'This browser can tell you when a session waits for you, has a plan, fails or is done, while you look elsewhere.',
  refused: 'This browser was told to show no notifications of this page. Its own settings let them in again.',
  impossible: 'This browser shows no notifications here. Most do so only over https.',
}

function Notifications() {
  const telling = useTelling()
  return (
    <section className="section" aria-labelledby="notifications">
      <h2 id="notifications">Notifications</h2>
      <div className="card panel row">
        <p className="grow">{TELLING[telling]}</p>
        {telling === 'off' ? <Button onClick={() => void setTelling(true)}>Turn on</Button> : null}
        {telling === 'on' ? <Button onClick={() => void setTelling(false)}>Turn off</Button> : null}
      </div>
    </section>
  )
}

function Name(person: { name: string; email: string; role: string }) {
  const client = useQueryClient()
  const [name, setName] = useState(person.name)
  const rename = useMutation({
    mutationFn: () => request(RENAME, { name: name.trim() }),
    onSuccess: () => {
      say('Your name is saved.')
      return client.invalidateQueries()
    },
  })
  return (
    <section className="section">
      <form
        className="card panel stack"
        onSubmit={(event) => {
          event.preventDefault()
          rename.mutate()
        }}
      >
        <p className="muted small">
          <Text>{person.email}</Text> · {person.role.toLowerCase()}
        </p>
        <div className="inline-form narrow">
          <TextField label="Name" autoComplete="name" required value={name} onValue={setName} />
          <Button
            type="submit"
            disabled={rename.isPending || name.trim() === person.name || name.trim() === ''}
          >
            Save
          </Button>
        </div>
      </form>
    </section>
  )
}

function Password() {
  const client = useQueryClient()
  const [current, setCurrent] = useState('')
  const [next, setNext] = useState('')
  const change = useMutation({
    meta: { showsErrors: true },
    mutationFn: () => request(CHANGE_PASSWORD, { current, next }),
    onSuccess: () => {
      setCurrent('')
      setNext('')
      say('Your password is changed.')
      return client.invalidateQueries({ queryKey: viewerQuery.queryKey })
    },
  })
  const field = change.error instanceof ApiError ? change.error.field : undefined
  const problem = change.error ? words(change.error) : undefined
  return (
    <section className="section" aria-labelledby="password">
      <h2 id="password">Password</h2>
      <form
        className="card panel stack narrow"
        onSubmit={(event) => {
          event.preventDefault()
          change.mutate()
        }}
      >
        <TextField
          label="Current password"
          problem={field === 'current' ? problem : undefined}
          type="password"
          autoComplete="current-password"
          required
          value={current}
          onValue={setCurrent}
        />
        <TextField
          label="New password"
          hint="At least 10 characters"
          problem={field !== 'current' ? problem : undefined}
          type="password"
          autoComplete="new-password"
          required
          value={next}
          onValue={setNext}
        />
        <div>
          <Button type="submit" disabled={change.isPending}>
            Change password
          </Button>
        </div>
      </form>
    </section>
  )
}

/** `Firefox on Linux` of what a browser says about itself; the whole of it when that is something else. */
export function browserName(agent: string): string {
  const browser = /(Edg|OPR|Firefox|Chrome|Safari)\//.exec(agent)?.[1]
  const system = /(Windows|Mac OS X|Android|iPhone|iPad|CrOS|Linux)/.exec(agent)?.[1]
  if (!browser) return agent || 'unknown'
  const names = new Map([
    ['Edg', 'Edge'],
    ['OPR', 'Opera'],
    ['Mac OS X', 'macOS'],
    ['CrOS', 'ChromeOS'],
  ])
  const name = names.get(browser) ?? browser
  return system ? `${name} on ${names.get(system) ?? system}` : name
}

function SignIns() {
  const client = useQueryClient()
  const viewer = useQuery(viewerQuery).data
  const out = useMutation({
    mutationFn: () => request(SIGN_OUT_EVERYWHERE),
    onSuccess: () => {
      say('Every other sign-in is ended.')
      return client.invalidateQueries({ queryKey: viewerQuery.queryKey })
    },
  })
  return (
    <section className="section" aria-labelledby="sign-ins">
      <div className="page-head">
        <h2 id="sign-ins">Where you are signed in</h2>
        <Button disabled={out.isPending} onClick={() => out.mutate()}>
          Sign out everywhere else
        </Button>
      </div>
      <div className="card table-scroll">
        <table className="table">
          <thead>
            <tr>
              <th>Browser</th>
              <th>Signed in</th>
              <th>Last used</th>
            </tr>
          </thead>
          <tbody>
            {(viewer?.signIns ?? []).map((each) => (
              <tr key={each.id}>
                <td title={marked(each.agent)}>
                  <Text>{browserName(each.agent)}</Text>{' '}
                  {each.current ? <span className="badge">this one</span> : null}
                </td>
                <td>
                  <Ago at={each.createdAt} />
                </td>
                <td>
                  <Ago at={each.usedAt} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
