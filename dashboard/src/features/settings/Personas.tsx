import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { useState } from 'react'
import { viewerQuery } from '../../app/queries'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { CodeEditor } from '../../ui/CodeEditor'
import { Ago, Button, Problem, SelectField, TextField } from '../../ui/controls'
import { plural } from '../../ui/format'
import { useTitle } from '../../ui/hooks'
import { Text } from '../../ui/Text'
import {
  ADD_PERSONA,
  CHANGE_PERSONA,
  type Persona,
  type PersonaLine,
  personaQuery,
  personasQuery,
  REMOVE_PERSONA,
  ROLES,
  type Role,
  useVersioned,
} from './knowledge'
import { PieceEditor } from './Piece'

const whose = (persona: Pick<PersonaLine, 'default' | 'shared'>) =>
  persona.default ? 'default' : persona.shared ? 'shared' : 'only you'

export function Personas() {
  useTitle('Personas')
  const personas = useQuery(personasQuery)
  return (
    <>
      <div className="row">
        <h1 className="grow">Personas</h1>
        <Link className="button primary" to="/settings/personas/$id" params={{ id: 'new' }}>
          Add persona
        </Link>
      </div>
      <p className="muted">
        How the agent is to work, in words that it is given as they are. The default ones are used when nobody
        chooses another for a session.
      </p>
      {personas.error ? <Problem>{words(personas.error)}</Problem> : null}
      {personas.data ? (
        <section className="card table-scroll" aria-label="Personas">
          <table className="table">
            <thead>
              <tr>
                <th>Name</th>
                <th>For</th>
                <th>Seen by</th>
                <th>Used</th>
                <th>Changed</th>
              </tr>
            </thead>
            <tbody>
              {personas.data.map((persona) => (
                <tr key={persona.id}>
                  <td>
                    <span className="row">
                      <Link to="/settings/personas/$id" params={{ id: persona.id }}>
                        <Text>{persona.name}</Text>
                      </Link>
                      {persona.default ? <span className="badge">default</span> : null}
                    </span>
                  </td>
                  <td className="muted">{ROLES[persona.role]}</td>
                  <td className="muted">{persona.shared ? 'everybody' : 'only you'}</td>
                  <td className="muted">{plural(persona.used, 'run')}</td>
                  <td className="muted">
                    {persona.changedAt ? <Ago at={persona.changedAt} /> : 'as Runyard comes'}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ) : null}
    </>
  )
}

interface Draft {
  name: string
  role: Role
  instructions: string
}

export function PersonaPage() {
  const { id } = useParams({ from: '/inside/settings/personas/$id' })
  const fresh = id === 'new'
  const persona = useQuery({ ...personaQuery(id), enabled: !fresh, refetchInterval: 15_000 })
  useTitle(fresh ? 'New persona' : (persona.data?.name ?? 'Persona'))
  return (
    <>
      <p>
        <Link to="/settings/personas">Personas</Link>
      </p>
      {persona.error ? <Problem>{words(persona.error)}</Problem> : null}
      {fresh ? <Editor key="new" persona={null} /> : null}
      {persona.data ? <Editor key={id} persona={persona.data} /> : null}
      {persona.data === null ? (
        <p className="card empty">This persona does not exist any more, or only somebody else sees it.</p>
      ) : null}
    </>
  )
}

function Editor({ persona }: { persona: Persona | null }) {
  const navigate = useNavigate()
  const configures = useQuery(viewerQuery).data?.role !== 'MEMBER'
  const [shared, setShared] = useState(false)
  const own = useVersioned<Draft>(
    persona
      ? {
          version: persona.version,
          draft: { name: persona.name, role: persona.role, instructions: persona.instructions },
        }
      : { version: 0, draft: { name: '', role: 'CUSTOM', instructions: '' } },
  )
  const { draft } = own
  const set = (change: Partial<Draft>) => own.write({ ...draft, ...change })
  if (persona?.shared && !configures)
    return (
      <>
        <h1>
          <Text>{draft.name}</Text>
        </h1>
        <p className="muted">
          For {ROLES[draft.role]} · {whose(persona)}
        </p>
        <div className="knowledge-text">
          <CodeEditor label="Instructions" text={draft.instructions} />
        </div>
      </>
    )
  const fixed = persona?.default === true
  const id = persona?.id ?? ''
  const input = { ...draft, name: draft.name.trim() }
  return (
    <PieceEditor
      what="persona"
      title={persona?.name ?? null}
      own={own}
      text={{
        label: 'Instructions',
        of: ({ instructions }) => instructions,
        write: (instructions) => set({ instructions }),
      }}
      doings={{
        queryKey: personasQuery.queryKey,
        add: async () => (await request(ADD_PERSONA, { input, shared })).addPersona.id,
        change: (expectedVersion) => request(CHANGE_PERSONA, { id, expectedVersion, input }),
        remove: (expectedVersion) => request(REMOVE_PERSONA, { id, expectedVersion }),
        said: { changed: 'New runs have it.', added: 'Added. Sessions can have it now.' },
        go: (id) =>
          id === null
            ? navigate({ to: '/settings/personas' })
            : navigate({ to: '/settings/personas/$id', params: { id } }),
      }}
      afterRemoval={fixed ? null : 'Sessions that have it go on with the default ones.'}
      hint={
        fixed
          ? 'A default persona keeps its name and stays; its instructions are yours to write.'
          : 'The agent is given these words as they are, at the top of what it works by.'
      }
      more={
        fixed && persona.original !== null && draft.instructions !== persona.original ? (
          <Button onClick={() => set({ instructions: persona.original ?? '' })}>As Runyard comes</Button>
        ) : null
      }
    >
      <div className="inline-form">
        <TextField
          label="Name"
          required
          maxLength={100}
          disabled={fixed}
          value={draft.name}
          onValue={(name) => set({ name })}
        />
        <div className="field slim">
          <SelectField label="For" disabled={fixed} value={draft.role} onValue={(role) => set({ role })}>
            {Object.entries(ROLES).map(([role, words]) => (
              <option key={role} value={role}>
                {words}
              </option>
            ))}
          </SelectField>
        </div>
        {persona ? null : (
          <div className="field slim">
            <SelectField
              label="Seen by"
              value={shared ? 'everybody' : 'me'}
              onValue={(value) => setShared(value === 'everybody')}
            >
              <option value="me">only me</option>
              {configures ? <option value="everybody">everybody</option> : null}
            </SelectField>
          </div>
        )}
      </div>
    </PieceEditor>
  )
}
