import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { type Person, peopleQuery, viewerQuery } from '../../app/queries'
import { Avatar } from '../../app/Shell'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { graphql } from '../../graphql/graphql'
import { Ago, Button, Dialog, Problem, SelectField, TextField } from '../../ui/controls'
import { useTitle } from '../../ui/hooks'
import { marked } from '../../ui/safe-text'
import { Text } from '../../ui/Text'
import { Secret } from './Secret'

const INVITATIONS = graphql(`
  query Invitations { invitations { id email role purpose createdAt expiresAt invitedBy { name } } }
`)
const INVITE = graphql(`
  mutation Invite($email: String!, $role: Role!) { invite(email: $email, role: $role) { url expiresAt } }
`)
const REVOKE = graphql(`
  mutation RevokeInvitation($id: ID!) { revokeInvitation(id: $id) { id } }
`)
const SET_ROLE = graphql(`
  mutation SetRole($person: ID!, $role: Role!) { setRole(person: $person, role: $role) { id } }
`)
const DEACTIVATE = graphql(`
  mutation Deactivate($person: ID!) { deactivatePerson(person: $person) { id } }
`)
const ACTIVATE = graphql(`
  mutation Activate($person: ID!) { activatePerson(person: $person) { id } }
`)

type Role = Person['role']

const ROLES: Record<Role, string> = {
  MEMBER: 'works with sessions',
  MAINTAINER: 'changes settings as well',
  ADMIN: 'everything, people too',
}

function RoleOptions() {
  return Object.keys(ROLES).map((role) => (
    <option key={role} value={role}>
      {role.toLowerCase()}
    </option>
  ))
}

export function People() {
  useTitle('People')
  const admin = useQuery(viewerQuery).data?.role === 'ADMIN'
  return (
    <>
      <h1>People</h1>
      {admin ? <Invite /> : null}
      <Everybody admin={admin} />
      {admin ? <Invitations /> : null}
      <p className="hint">
        {Object.entries(ROLES)
          .map(([role, words]) => `${role.toLowerCase()}: ${words}`)
          .join(' · ')}
      </p>
    </>
  )
}

function Invite() {
  const client = useQueryClient()
  const [email, setEmail] = useState('')
  const [role, setRole] = useState<Role>('MEMBER')
  const invite = useMutation({
    meta: { showsErrors: true },
    mutationFn: () => request(INVITE, { email: email.trim(), role }),
    onSuccess: () => client.invalidateQueries({ queryKey: ['invitations'] }),
  })
  const done = () => {
    invite.reset()
    setEmail('')
  }
  return (
    <section className="section" aria-label="Invite">
      <form
        className="card panel stack"
        onSubmit={(event) => {
          event.preventDefault()
          invite.mutate()
        }}
      >
        <div className="inline-form">
          <TextField
            label="Mail address"
            problem={invite.error ? words(invite.error) : undefined}
            type="text"
            inputMode="email"
            required
            value={email}
            onValue={setEmail}
          />
          <div className="field slim">
            <SelectField label="Role" value={role} onValue={setRole}>
              <RoleOptions />
            </SelectField>
          </div>
          <Button type="submit" look="primary" disabled={invite.isPending}>
            Invite
          </Button>
        </div>
        <p className="hint">Nothing is sent: you get a link, which you hand over yourself.</p>
      </form>
      {invite.data ? (
        <Dialog title="The invitation" onClose={done}>
          <div className="stack">
            <p>
              Give this link to {email}. Whoever has it can join once,{' '}
              <Ago at={invite.data.invite.expiresAt} /> at the latest.
            </p>
            <Secret value={invite.data.invite.url} what="link" />
          </div>
        </Dialog>
      ) : null}
    </section>
  )
}

function Everybody({ admin }: { admin: boolean }) {
  const client = useQueryClient()
  const me = useQuery(viewerQuery).data?.person?.id
  const people = useQuery(peopleQuery)
  const [leaving, setLeaving] = useState<Person | null>(null)
  const change = useMutation({
    mutationFn: (act: () => Promise<unknown>) => act(),
    onSettled: () => client.invalidateQueries({ queryKey: peopleQuery.queryKey }),
  })
  if (people.error) return <Problem>{words(people.error)}</Problem>
  return (
    <section className="section" aria-label="Everybody">
      <div className="card table-scroll">
        <table className="table">
          <thead>
            <tr>
              <th>Name</th>
              <th>Mail address</th>
              <th>Role</th>
              <th>
                <span className="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {(people.data ?? []).map((person) => (
              <tr key={person.id}>
                <td>
                  <span className="row">
                    <Avatar name={person.name} />
                    <Text>{person.name}</Text>
                    {person.id === me ? <span className="badge">you</span> : null}
                    {person.active ? null : <span className="badge">deactivated</span>}
                  </span>
                </td>
                <td className="muted">
                  <Text>{person.email}</Text>
                </td>
                <td>
                  {admin && person.active ? (
                    <select
                      className="input slim-input"
                      aria-label={`Role of ${marked(person.name)}`}
                      value={person.role}
                      disabled={change.isPending}
                      onChange={(event) => {
                        const role = event.target.value as Role
                        change.mutate(() => request(SET_ROLE, { person: person.id, role }))
                      }}
                    >
                      <RoleOptions />
                    </select>
                  ) : (
                    person.role.toLowerCase()
                  )}
                </td>
                <td className="end">
                  {admin && person.id !== me ? (
                    person.active ? (
                      <Button look="quiet small" onClick={() => setLeaving(person)}>
                        Deactivate …
                      </Button>
                    ) : (
                      <Button
                        look="quiet small"
                        onClick={() => change.mutate(() => request(ACTIVATE, { person: person.id }))}
                      >
                        Activate
                      </Button>
                    )
                  ) : null}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {leaving ? (
        <Dialog title={`Deactivate ${marked(leaving.name)}?`} onClose={() => setLeaving(null)}>
          <div className="stack">
            <p>
              Every sign-in and token of theirs ends at once. What they wrote and decided stays under their
              name.
            </p>
            <div className="actions">
              <Button onClick={() => setLeaving(null)}>Cancel</Button>
              <Button
                look="danger"
                disabled={change.isPending}
                onClick={() =>
                  change.mutate(() => request(DEACTIVATE, { person: leaving.id }), {
                    onSettled: () => setLeaving(null),
                  })
                }
              >
                Deactivate
              </Button>
            </div>
          </div>
        </Dialog>
      ) : null}
    </section>
  )
}

const PURPOSES = {
  FIRST_ADMIN: 'first admin',
  INVITATION: 'invitation',
  PASSWORD_RESET: 'new password',
} as const

function Invitations() {
  const client = useQueryClient()
  const open = useQuery({
    queryKey: ['invitations'],
    queryFn: async () => (await request(INVITATIONS)).invitations,
  })
  const revoke = useMutation({
    mutationFn: (id: string) => request(REVOKE, { id }),
    onSettled: () => client.invalidateQueries({ queryKey: ['invitations'] }),
  })
  if (open.error) return <Problem>{words(open.error)}</Problem>
  if (!open.data || open.data.length === 0) return null
  return (
    <section className="section" aria-labelledby="open-links">
      <h2 id="open-links">Links that nobody used yet</h2>
      <div className="card table-scroll">
        <table className="table">
          <thead>
            <tr>
              <th>For</th>
              <th>Kind</th>
              <th>By</th>
              <th>Ends</th>
              <th>
                <span className="visually-hidden">Actions</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {open.data.map((each) => (
              <tr key={each.id}>
                <td>
                  <Text>{each.email}</Text>
                </td>
                <td className="muted">
                  {PURPOSES[each.purpose]}
                  {each.purpose === 'INVITATION' ? `, ${each.role.toLowerCase()}` : ''}
                </td>
                <td className="muted">
                  <Text>{each.invitedBy?.name ?? 'command line'}</Text>
                </td>
                <td className="muted">
                  <Ago at={each.expiresAt} />
                </td>
                <td className="end">
                  <Button
                    look="quiet small"
                    disabled={revoke.isPending}
                    onClick={() => revoke.mutate(each.id)}
                  >
                    Revoke
                  </Button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
