import { useEffect, useRef, useSyncExternalStore } from 'react'

/** Something that one may do now: in the palette, by its keys, and on the help sheet. */
export interface Command {
  id: string
  title: string
  group: string
  /** Keys one after the other, such as `g h`; `mod` is Control or Command. */
  keys?: string
  run: () => void
}

const registered = new Map<symbol, readonly Command[]>()
let all: readonly Command[] = []
const listeners = new Set<() => void>()

function changed() {
  // What was registered last is the most specific: it wins and comes first.
  const seen = new Set<string>()
  all = [...registered.values()]
    .reverse()
    .flat()
    .filter((command) => !seen.has(command.id) && seen.add(command.id))
  for (const listener of listeners) listener()
}

/** Offers commands while the component is there. The list may change with every render; identity is by id. */
export function useCommands(commands: readonly Command[]) {
  const latest = useRef(commands)
  latest.current = commands
  const shape = commands.map((command) => `${command.id}|${command.title}|${command.keys ?? ''}`).join('\n')
  // biome-ignore lint/correctness/useExhaustiveDependencies: shape says what of the list matters to others
  useEffect(() => {
    const key = Symbol('commands')
    registered.set(
      key,
      latest.current.map((command, index) => ({ ...command, run: () => latest.current[index]?.run() })),
    )
    changed()
    return () => {
      registered.delete(key)
      changed()
    }
  }, [shape])
}

export function useAllCommands(): readonly Command[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    () => all,
  )
}

// The innermost target: the editor is in a shadow root, whose keys would seem to come from its host.
const isTyping = (target: EventTarget | undefined): boolean =>
  target instanceof HTMLElement &&
  (target.isContentEditable || /^(input|textarea|select)$/i.test(target.tagName))

function strokeOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key
  return event.ctrlKey || event.metaKey ? `mod+${key}` : key
}

/** Listens for the keys of all commands; returns its end. */
export function listenForKeys(): () => void {
  let pressed: string[] = []
  let forget = 0
  const listener = (event: KeyboardEvent) => {
    if (event.altKey || event.defaultPrevented || ['Shift', 'Control', 'Meta'].includes(event.key)) return
    const stroke = strokeOf(event)
    const single = !stroke.startsWith('mod+')
    if (single && (isTyping(event.composedPath()[0]) || document.querySelector('dialog[open]'))) return
    pressed = [...pressed, stroke].slice(-2)
    window.clearTimeout(forget)
    forget = window.setTimeout(() => {
      pressed = []
    }, 1_000)
    const pair = pressed.join(' ')
    const command = all.find((each) => each.keys === pair) ?? all.find((each) => each.keys === stroke)
    if (!command) return
    event.preventDefault()
    pressed = []
    command.run()
  }
  document.addEventListener('keydown', listener)
  return () => document.removeEventListener('keydown', listener)
}
