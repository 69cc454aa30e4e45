import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { viewerQuery } from '../../app/queries'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { CodeEditor } from '../../ui/CodeEditor'
import { Ago, Problem, TextField } from '../../ui/controls'
import { plural } from '../../ui/format'
import { useTitle } from '../../ui/hooks'
import { Text } from '../../ui/Text'
import {
  ADD_CONTEXT_FILE,
  CHANGE_CONTEXT_FILE,
  type ContextFile,
  contextFileQuery,
  contextFilesQuery,
  REMOVE_CONTEXT_FILE,
  useVersioned,
} from './knowledge'
import { PieceEditor } from './Piece'

/** Who may change what everybody works with. */
function useMayConfigure(): boolean {
  return useQuery(viewerQuery).data?.role !== 'MEMBER'
}

export function ContextFiles() {
  useTitle('Context files')
  const files = useQuery(contextFilesQuery)
  const may = useMayConfigure()
  return (
    <>
      <div className="row">
        <h1 className="grow">Context files</h1>
        {may ? (
          <Link className="button primary" to="/settings/context/$id" params={{ id: 'new' }}>
            Add context file
          </Link>
        ) : null}
      </div>
      <p className="muted">
        What the team wants the agent to know. It is given all that are on and about its repository, highest
        priority first, up to 64 KiB in all.
      </p>
      {files.error ? <Problem>{words(files.error)}</Problem> : null}
      {files.data?.length === 0 ? <p className="card empty">There are no context files yet.</p> : null}
      {files.data && files.data.length > 0 ? (
        <section className="card table-scroll" aria-label="Context files">
          <table className="table">
            <thead>
              <tr>
                <th>Title</th>
                <th>About</th>
                <th>Priority</th>
                <th>Used</th>
                <th>Changed</th>
              </tr>
            </thead>
            <tbody>
              {files.data.map((file) => (
                <tr key={file.id}>
                  <td>
                    <span className="row">
                      <Link to="/settings/context/$id" params={{ id: file.id }}>
                        <Text>{file.title}</Text>
                      </Link>
                      {file.enabled ? null : <span className="badge">off</span>}
                    </span>
                  </td>
                  <td className="muted">
                    {file.repositories.length === 0 ? (
                      'all repositories'
                    ) : (
                      <Text>{file.repositories.join(', ')}</Text>
                    )}
                  </td>
                  <td className="numbers">{file.priority}</td>
                  <td className="muted">{plural(file.used, 'run')}</td>
                  <td className="muted">
                    <Ago at={file.changedAt} />
                    {file.author ? (
                      <>
                        {' '}
                        by <Text>{file.author.name}</Text>
                      </>
                    ) : null}
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
  title: string
  text: string
  repositories: string
  priority: string
  enabled: boolean
}

const LABEL = 'Text of the context file'
const EMPTY: Draft = { title: '', text: '', repositories: '', priority: '0', enabled: true }

const draftOf = (file: ContextFile): Draft => ({
  title: file.title,
  text: file.text,
  repositories: file.repositories.join(', '),
  priority: String(file.priority),
  enabled: file.enabled,
})

const inputOf = (draft: Draft) => ({
  title: draft.title.trim() || null,
  text: draft.text,
  repositories: draft.repositories
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== ''),
  priority: Math.round(Number(draft.priority)) || 0,
  enabled: draft.enabled,
})

export function ContextFilePage() {
  const { id } = useParams({ from: '/inside/settings/context/$id' })
  const fresh = id === 'new'
  const file = useQuery({ ...contextFileQuery(id), enabled: !fresh, refetchInterval: 15_000 })
  useTitle(fresh ? 'New context file' : (file.data?.title ?? 'Context file'))
  return (
    <>
      <p>
        <Link to="/settings/context">Context files</Link>
      </p>
      {file.error ? <Problem>{words(file.error)}</Problem> : null}
      {fresh ? <Editor key="new" file={null} /> : null}
      {file.data ? <Editor key={id} file={file.data} /> : null}
      {file.data === null ? (
        <p className="card empty">
          This context file does not exist any more. Sessions that used it keep its name.
        </p>
      ) : null}
    </>
  )
}

function Editor({ file }: { file: ContextFile | null }) {
  const navigate = useNavigate()
  const may = useMayConfigure()
  const own = useVersioned<Draft>(
    file ? { version: file.version, draft: draftOf(file) } : { version: 0, draft: EMPTY },
  )
  const { draft } = own
  const set = (change: Partial<Draft>) => own.write({ ...draft, ...change })
  if (!may)
    return (
      <>
        <h1>
          <Text>{draft.title}</Text>
        </h1>
        <p className="muted">
          {draft.repositories === '' ? (
            'About all repositories'
          ) : (
            <Text>{`About ${draft.repositories}`}</Text>
          )}
          {draft.enabled ? '' : ' · off'}
        </p>
        <div className="knowledge-text">
          <CodeEditor label={LABEL} text={draft.text} />
        </div>
      </>
    )
  const id = file?.id ?? ''
  const input = inputOf(draft)
  return (
    <PieceEditor
      what="context file"
      title={file?.title ?? null}
      own={own}
      text={{ label: LABEL, of: ({ text }) => text, write: (text) => set({ text }) }}
      doings={{
        queryKey: contextFilesQuery.queryKey,
        add: async () => (await request(ADD_CONTEXT_FILE, { input })).addContextFile.id,
        change: (expectedVersion) => request(CHANGE_CONTEXT_FILE, { id, expectedVersion, input }),
        remove: (expectedVersion) => request(REMOVE_CONTEXT_FILE, { id, expectedVersion }),
        said: { changed: 'New runs are told of it.', added: 'Added. New runs are told of it.' },
        go: (id) =>
          id === null
            ? navigate({ to: '/settings/context' })
            : navigate({ to: '/settings/context/$id', params: { id } }),
      }}
      afterRemoval="Runs that begin from now on are not told of it. Sessions that used it keep its name."
      hint={
        file && file.files.length > 0
          ? `Names ${plural(file.files.length, 'file')}: those that a repository has are pointed out to the agent.`
          : 'Files named in `code`, lists and code blocks are pointed out to the agent.'
      }
    >
      <TextField
        label="Title"
        placeholder="the first heading of the text"
        maxLength={200}
        value={draft.title}
        onValue={(title) => set({ title })}
      />
      <div className="inline-form">
        <TextField
          label="About"
          placeholder="all repositories"
          hint="Names with commas between; * stands for anything"
          value={draft.repositories}
          onValue={(repositories) => set({ repositories })}
        />
        <div className="field slim">
          <TextField
            label="Priority"
            type="number"
            min="-100"
            max="100"
            value={draft.priority}
            onValue={(priority) => set({ priority })}
          />
        </div>
      </div>
      <label className="row">
        <input
          type="checkbox"
          checked={draft.enabled}
          onChange={(event) => set({ enabled: event.target.checked })}
        />
        Give it to the agent
      </label>
    </PieceEditor>
  )
}
