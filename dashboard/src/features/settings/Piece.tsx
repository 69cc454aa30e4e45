import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { words } from '../../graphql/errors'
import { CodeEditor } from '../../ui/CodeEditor'
import { Button, Problem } from '../../ui/controls'
import { Text } from '../../ui/Text'
import { say } from '../../ui/toast'
import type { useVersioned } from './knowledge'
import { Newer } from './Newer'
import { Remove } from './Remove'

/** What a piece of knowledge's editor does on the server, and where it leads. */
interface Doings {
  /** What is read anew after a change. */
  queryKey: readonly unknown[]
  /** Adds it; its id. */
  add: () => Promise<string>
  /** Saves a version on top of the expected one. */
  change: (expectedVersion: number) => Promise<unknown>
  remove: (expectedVersion: number) => Promise<unknown>
  /** What is said when it was saved, and when it was added. */
  said: { changed: string; added: string }
  /** Goes to a piece, or to all of them. */
  go: (id: string | null) => Promise<void>
}

interface Props<Draft> {
  /** What it is called: "context file". */
  what: string
  /** The title of one that is there; null for a new one. */
  title: string | null
  own: ReturnType<typeof useVersioned<Draft>>
  /** The label of its text, which of its draft that is, and how it is written. */
  text: { label: string; of: (draft: Draft) => string; write: (text: string) => void }
  doings: Doings
  /** What becomes of what has it; null when it cannot be removed. */
  afterRemoval: string | null
  /** A line beside the buttons, and more buttons. */
  hint: string
  more?: ReactNode
  /** The fields above the text. */
  children: ReactNode
}

/** Writes a new piece of knowledge, or a new version of one that is there. */
export function PieceEditor<Draft>(props: Props<Draft>) {
  const { what, title, own, text, doings, afterRemoval, hint, more, children } = props
  const client = useQueryClient()
  const reread = () => client.invalidateQueries({ queryKey: doings.queryKey })
  const fresh = title === null
  const save = useMutation({
    meta: { showsErrors: true },
    mutationFn: async () => {
      if (fresh) return doings.add()
      await doings.change(own.version)
      return null
    },
    onSuccess: async (added) => {
      own.discard()
      say(fresh ? doings.said.added : `Saved as version ${own.version + 1}. ${doings.said.changed}`)
      await reread()
      if (added) await doings.go(added)
    },
    // When somebody was faster, their version is read and shown beside one's own.
    onError: () => void reread(),
  })
  const remove = useMutation({
    mutationFn: () => doings.remove(own.version),
    onSuccess: async () => {
      await doings.go(null)
      await reread()
    },
    onError: () => void reread(),
  })
  return (
    <form
      className="stack"
      aria-label={`${what.charAt(0).toUpperCase()}${what.slice(1)}`}
      onSubmit={(event) => {
        event.preventDefault()
        save.mutate()
      }}
    >
      <h1>{fresh ? `New ${what}` : <Text>{title}</Text>}</h1>
      {own.conflict ? (
        <Newer
          theirs={text.of(own.theirs)}
          mine={text.of(own.draft)}
          onTake={own.takeTheirs}
          onKeep={own.keepMine}
        />
      ) : null}
      {children}
      <div className="knowledge-text">
        <CodeEditor label={text.label} text={text.of(own.draft)} onChange={text.write} />
      </div>
      {save.error ? <Problem>{words(save.error)}</Problem> : null}
      <div className="row wrap">
        <span className="grow small muted" role="status">
          {hint}
        </span>
        {more}
        {!fresh && afterRemoval !== null ? (
          <Remove title={title} pending={remove.isPending} onRemove={() => remove.mutate()}>
            {afterRemoval}
          </Remove>
        ) : null}
        <Button disabled={!own.dirty} onClick={own.discard}>
          Discard
        </Button>
        <Button type="submit" look="primary" disabled={!own.dirty || save.isPending || own.conflict}>
          {fresh ? 'Add' : 'Save'}
        </Button>
      </div>
    </form>
  )
}
