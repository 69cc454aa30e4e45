import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { viewerQuery } from '../../app/queries'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { graphql } from '../../graphql/graphql'
import { Ago, Button, Dialog, Problem, SelectField, TextField } from '../../ui/controls'
import { useTitle } from '../../ui/hooks'
import { marked } from '../../ui/safe-text'
import { Text } from '../../ui/Text'
import { Secret } from './Secret'

const TOKENS = graphql(`
  query Tokens { tokens { id name createdAt expiresAt usedAt person { id name } } }
`)
const CREATE = graphql(`
  mutation CreateToken($name: String!, $expiresAt: DateTime, $account: Boolean!) {
    createToken(name: $name, expiresAt: $expiresAt, account: $account) { token { name } value }
  }
`)
const REVOKE = graphql(`
  mutation RevokeToken($id: ID!) { revokeToken(id: $id) { id } }
`)

const LIFETIMES = { '30': '30 days', '90': '90 days', '365': 'a year', '': 'no end' } as const

export function Tokens() {
  useTitle('Tokens')
  const client = useQueryClient()
  const admin = useQuery(viewerQuery).data?.role === 'ADMIN'
  const tokens = useQuery({ queryKey: ['tokens'], queryFn: async () => (await request(TOKENS)).tokens })
  const [revoking, setRevoking] = useState<{ id: string; name: string } | null>(null)
  const revoke = useMutation({
    mutationFn: (id: string) => request(REVOKE, { id }),
    onSettled: () => {
      setRevoking(null)
      return client.invalidateQueries({ queryKey: ['tokens'] })
    },
  })
  return (
    <>
      <h1>Tokens</h1>
      <p className="muted">
        For programs that work in your name over the API. A token can do what its owner can, and sessions show
        it as theirs. <a href="/playground">Try the API out</a> before you write one.
      </p>
      <NewToken admin={admin} />
      {tokens.error ? <Problem>{words(tokens.error)}</Problem> : null}
      {tokens.data?.length === 0 ? <p className="card empty">There are no tokens yet.</p> : null}
      {tokens.data && tokens.data.length > 0 ? (
        <section className="card table-scroll" aria-label="Tokens">
          <table className="table">
            <thead>
              <tr>
                <th>Name</th>
                <th>Of</th>
                <th>Made</th>
                <th>Ends</th>
                <th>Last used</th>
                <th>
                  <span className="visually-hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {tokens.data.map((token) => (
                <tr key={token.id}>
                  <td>
                    <Text>{token.name}</Text>
                  </td>
                  <td className="muted">{token.person ? <Text>{token.person.name}</Text> : 'the account'}</td>
                  <td className="muted">
                    <Ago at={token.createdAt} />
                  </td>
                  <td className="muted">{token.expiresAt ? <Ago at={token.expiresAt} /> : 'never'}</td>
                  <td className="muted">{token.usedAt ? <Ago at={token.usedAt} /> : 'never'}</td>
                  <td className="end">
                    <Button look="quiet small" onClick={() => setRevoking(token)}>
                      Revoke …
                    </Button>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ) : null}
      {revoking ? (
        <Dialog title={`Revoke “${marked(revoking.name)}”?`} onClose={() => setRevoking(null)}>
          <div className="stack">
            <p>Programs that use it are refused from now on.</p>
            <div className="actions">
              <Button onClick={() => setRevoking(null)}>Cancel</Button>
              <Button look="danger" disabled={revoke.isPending} onClick={() => revoke.mutate(revoking.id)}>
                Revoke
              </Button>
            </div>
          </div>
        </Dialog>
      ) : null}
    </>
  )
}

function NewToken({ admin }: { admin: boolean }) {
  const client = useQueryClient()
  const [name, setName] = useState('')
  const [days, setDays] = useState<keyof typeof LIFETIMES>('90')
  const [account, setAccount] = useState(false)
  const create = useMutation({
    meta: { showsErrors: true },
    mutationFn: () =>
      request(CREATE, {
        name: name.trim(),
        expiresAt: days === '' ? null : new Date(Date.now() + Number(days) * 86_400_000).toISOString(),
        account,
      }),
    onSuccess: () => {
      setName('')
      return client.invalidateQueries({ queryKey: ['tokens'] })
    },
  })
  return (
    <section className="section" aria-label="New token">
      <form
        className="card panel inline-form"
        onSubmit={(event) => {
          event.preventDefault()
          create.mutate()
        }}
      >
        <TextField
          label="Name"
          problem={create.error ? words(create.error) : undefined}
          required
          placeholder="what uses it"
          value={name}
          onValue={setName}
        />
        <div className="field slim">
          <SelectField label="Ends after" value={days} onValue={setDays}>
            {Object.entries(LIFETIMES).map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </SelectField>
        </div>
        {admin ? (
          <div className="field slim">
            <SelectField
              label="Of"
              value={account ? 'account' : 'me'}
              onValue={(value) => setAccount(value === 'account')}
            >
              <option value="me">me</option>
              <option value="account">the account</option>
            </SelectField>
          </div>
        ) : null}
        <Button type="submit" look="primary" disabled={create.isPending || name.trim() === ''}>
          Make token
        </Button>
      </form>
      {create.data ? (
        <Dialog
          title={`The token “${marked(create.data.createToken.token.name)}”`}
          onClose={() => create.reset()}
        >
          <Secret value={create.data.createToken.value} what="token" />
        </Dialog>
      ) : null}
    </section>
  )
}
