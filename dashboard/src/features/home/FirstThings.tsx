import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { repositoriesQuery, viewerQuery } from '../../app/queries'
import { request } from '../../graphql/client'
import { ApiError, words } from '../../graphql/errors'
import { graphql } from '../../graphql/graphql'
import { Button, Dialog, TextField } from '../../ui/controls'
import { say } from '../../ui/toast'

const ADD = graphql(`
  mutation AddRepository($name: String, $path: String!) {
    addRepository(name: $name, path: $path) { id name }
  }
`)

/** What to do when there is nothing yet. */
export function FirstThings() {
  const [adding, setAdding] = useState(false)
  const repositories = useQuery(repositoriesQuery).data ?? []
  const role = useQuery(viewerQuery).data?.role
  return (
    <section className="section" aria-labelledby="first">
      <h2 id="first">Three things to begin with</h2>
      <div className="first">
        <div className="card">
          <span className="number">1{repositories.length > 0 ? ' ✓' : ''}</span>
          <h3>Connect a repository</h3>
          <p className="muted small">
            Any git repository on this machine. Runyard never writes to its main branch.
          </p>
          <Button look={repositories.length > 0 ? '' : 'primary'} onClick={() => setAdding(true)}>
            Add a repository
          </Button>
        </div>
        <div className="card">
          <span className="number">2</span>
          <h3>Describe a change</h3>
          <p className="muted small">
            In your own words. You get a plan first, and nothing runs until you say so.
          </p>
          <Button onClick={() => document.querySelector<HTMLElement>('.ask textarea')?.focus()}>
            Write it
          </Button>
        </div>
        <div className="card">
          <span className="number">3</span>
          <h3>Bring your team</h3>
          <p className="muted small">
            Everybody sees the same session live, answers questions and reviews changes.
          </p>
          <Link to="/settings/people" className="button">
            {role === 'ADMIN' ? 'Invite people' : 'See who is here'}
          </Link>
        </div>
      </div>
      {adding ? <AddRepository onClose={() => setAdding(false)} /> : null}
    </section>
  )
}

export function AddRepository({ onClose }: { onClose: () => void }) {
  const client = useQueryClient()
  const [path, setPath] = useState('')
  const [name, setName] = useState('')
  const add = useMutation({
    meta: { showsErrors: true },
    mutationFn: () => request(ADD, { name: name.trim() || null, path: path.trim() }),
    onSuccess: ({ addRepository }) => {
      void client.invalidateQueries({ queryKey: ['repositories'] })
      say(`${addRepository.name} is connected.`)
      onClose()
    },
  })
  const field = add.error instanceof ApiError ? add.error.field : undefined
  return (
    <Dialog title="Add a repository" onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          add.mutate()
        }}
      >
        <TextField
          label="Path"
          hint="An absolute path on the server, such as /srv/git/backend.git"
          problem={add.error && field !== 'name' ? words(add.error) : undefined}
          className="mono"
          required
          value={path}
          onValue={setPath}
        />
        <TextField
          label="Name"
          hint="Empty: the folder's name"
          problem={field === 'name' ? words(add.error) : undefined}
          value={name}
          onValue={setName}
        />
        <div className="actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={add.isPending}>
            Add repository
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
