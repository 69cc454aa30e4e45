import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import {
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useId,
  useLayoutEffect,
  useRef,
  useState,
} from 'react'
import { useSettled } from '../ui/hooks'
import { phaseLook, State } from '../ui/State'
import { Text } from '../ui/Text'
import { useAllCommands } from './commands'
import { Keys } from './HelpSheet'
import { type SessionLine, sessionsQuery } from './queries'

interface Item {
  id: string
  line: ReactNode
  run: () => void
}

/** True when every word of `query` begins somewhere in `words`. */
export const matches = (words: string, query: string): boolean =>
  query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => words.toLowerCase().includes(word))

const sessionWords = ({ number, title, repository }: SessionLine): string =>
  `r/${number} ${title} ${repository}`

export function Palette({ onClose }: { onClose: () => void }) {
  const navigate = useNavigate()
  const commands = useAllCommands()
  const [query, setQuery] = useState('')
  const recent = useQuery(sessionsQuery()).data?.nodes ?? []
  // Older ones, and those that have the words in their request, are found by the server.
  const search = useSettled(query.trim(), 200)
  const found =
    useQuery({ ...sessionsQuery(false, search, 20), enabled: search.length > 1 }).data?.nodes ?? []
  const [at, setAt] = useState(0)
  const id = useId()
  const dialog = useRef<HTMLDialogElement>(null)
  const input = useRef<HTMLInputElement>(null)
  // Before the next key can arrive: what is typed at once belongs here.
  useLayoutEffect(() => {
    const before = document.activeElement
    dialog.current?.showModal()
    input.current?.focus()
    return () => {
      dialog.current?.close()
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])

  const items: Item[] = [
    ...commands
      .filter(({ id, group, title }) => id !== 'palette' && matches(`${group} ${title}`, query))
      .map((command) => ({
        id: command.id,
        line: (
          <>
            <span className="grow clip">{command.title}</span>
            {command.keys ? <Keys keys={command.keys} /> : null}
          </>
        ),
        run: command.run,
      })),
    ...[
      ...recent.filter((session) => matches(sessionWords(session), query)),
      ...(search === query.trim() ? found : []),
    ]
      .filter((session, index, all) => all.findIndex(({ number }) => number === session.number) === index)
      .map((session) => ({
        id: `r${session.number}`,
        line: (
          <>
            <State look={phaseLook(session.phase)} />
            <span className="grow clip">
              <Text>{session.title}</Text>
            </span>
            <span className="muted small">
              <Text>{session.repository}</Text> · r/{session.number}
            </span>
          </>
        ),
        run: () => void navigate({ to: '/r/$number', params: { number: session.number } }),
      })),
  ]
  const chosen = Math.min(at, items.length - 1)

  const keys = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step && items.length > 0) {
      event.preventDefault()
      setAt((chosen + step + items.length) % items.length)
    } else if (event.key === 'Enter') {
      event.preventDefault()
      const item = items[chosen]
      onClose()
      item?.run()
    }
  }
  useEffect(() => {
    document.getElementById(`${id}-${chosen}`)?.scrollIntoView({ block: 'nearest' })
  }, [id, chosen])

  return (
    <dialog
      ref={dialog}
      className="dialog palette"
      aria-label="Search and commands"
      onClose={onClose}
      onCancel={onClose}
      onPointerDown={(event) => event.target === dialog.current && onClose()}
    >
      <input
        ref={input}
        className="palette-input"
        placeholder="Search sessions and commands"
        aria-label="Search sessions and commands"
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-activedescendant={items.length > 0 ? `${id}-${chosen}` : undefined}
        value={query}
        onChange={(event) => {
          setQuery(event.target.value)
          setAt(0)
        }}
        onKeyDown={keys}
      />
      <div className="palette-list" id={id} role="listbox" aria-label="Results">
        {items.map((item, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the input's
          <div
            key={item.id}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            className="palette-item"
            onPointerMove={() => setAt(index)}
            onClick={() => {
              onClose()
              item.run()
            }}
          >
            {item.line}
          </div>
        ))}
        {items.length === 0 ? <p className="muted palette-none">Nothing matches.</p> : null}
      </div>
    </dialog>
  )
}
