import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { viewerQuery } from '../../app/queries'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { CodeEditor } from '../../ui/CodeEditor'
import { Ago, Button, Problem, TextField } from '../../ui/controls'
import { plural } from '../../ui/format'
import { useTitle } from '../../ui/hooks'
import { Text } from '../../ui/Text'
import { say } from '../../ui/toast'
import {
  ADD_CONTEXT_FILE,
  CHANGE_CONTEXT_FILE,
  type ContextFile,
  contextFileQuery,
  contextFilesQuery,
  REMOVE_CONTEXT_FILE,
  useVersioned,
} from './knowledge'
import { Newer } from './Newer'
import { Remove } from './Remove'

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
  const client = useQueryClient()
  const navigate = useNavigate()
  const may = useMayConfigure()
  const own = useVersioned<Draft>(
    file ? { version: file.version, draft: draftOf(file) } : { version: 0, draft: EMPTY },
  )
  const { draft } = own
  const set = (change: Partial<Draft>) => own.write({ ...draft, ...change })
  const reread = () => client.invalidateQueries({ queryKey: contextFilesQuery.queryKey })
  const save = useMutation({
    meta: { showsErrors: true },
    mutationFn: async () => {
      const input = inputOf(draft)
      if (!file) return (await request(ADD_CONTEXT_FILE, { input })).addContextFile.id
      await request(CHANGE_CONTEXT_FILE, { id: file.id, expectedVersion: own.version, input })
      return null
    },
    onSuccess: async (added) => {
      own.discard()
      say(
        file
          ? `Saved as version ${own.version + 1}. New runs are told of it.`
          : 'Added. New runs are told of it.',
      )
      await reread()
      if (added) await navigate({ to: '/settings/context/$id', params: { id: added } })
    },
    // When somebody was faster, their version is read and shown beside one's own.
    onError: () => void reread(),
  })
  const remove = useMutation({
    mutationFn: () => request(REMOVE_CONTEXT_FILE, { id: file?.id ?? '', expectedVersion: own.version }),
    onSuccess: async () => {
      await navigate({ to: '/settings/context' })
      await reread()
    },
    onError: () => void reread(),
  })
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
          <CodeEditor label="Text of the context file" text={draft.text} />
        </div>
      </>
    )
  return (
    <form
      className="stack"
      aria-label="Context file"
      onSubmit={(event) => {
        event.preventDefault()
        save.mutate()
      }}
    >
      <h1>{file ? <Text>{file.title}</Text> : 'New context file'}</h1>
      {own.conflict ? (
        <Newer theirs={own.theirs.text} mine={draft.text} onTake={own.takeTheirs} onKeep={own.keepMine} />
      ) : null}
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
      <div className="knowledge-text">
        <CodeEditor label="Text of the context file" text={draft.text} onChange={(text) => set({ text })} />
      </div>
      {save.error ? <Problem>{words(save.error)}</Problem> : null}
      <div className="row wrap">
        <span className="grow small muted" role="status">
          {file && file.files.length > 0
            ? `Names ${plural(file.files.length, 'file')}: those that a repository has are pointed out to the agent.`
            : 'Files named in `code`, lists and code blocks are pointed out to the agent.'}
        </span>
        {file ? (
          <Remove title={file.title} pending={remove.isPending} onRemove={() => remove.mutate()}>
            Runs that begin from now on are not told of it. Sessions that used it keep its name.
          </Remove>
        ) : null}
        <Button disabled={!own.dirty} onClick={own.discard}>
          Discard
        </Button>
        <Button type="submit" look="primary" disabled={!own.dirty || save.isPending || own.conflict}>
          {file ? 'Save' : 'Add'}
        </Button>
      </div>
    </form>
  )
}
