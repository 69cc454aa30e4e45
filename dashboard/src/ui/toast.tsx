import { X } from 'lucide-react'
import { useSyncExternalStore } from 'react'
import { words } from '../graphql/errors'
import { Button } from './controls'

interface Toast {
  id: number
  text: string
  bad: boolean
}

let toasts: readonly Toast[] = []
let next = 1
const listeners = new Set<() => void>()

function set(changed: readonly Toast[]) {
  toasts = changed
  for (const listener of listeners) listener()
}

const dismiss = (id: number) => set(toasts.filter((toast) => toast.id !== id))

/** Says something in passing. Errors stay until they are read. */
export function say(text: string, bad = false) {
  const id = next++
  set([...toasts.slice(-2), { id, text, bad }])
  if (!bad) window.setTimeout(() => dismiss(id), 6_000)
}

export const sayError = (error: unknown) => say(words(error), true)

export function Toasts() {
  const shown = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    () => toasts,
  )
  return (
    <div className="toasts" role="status" aria-live="polite">
      {shown.map((toast) => (
        <div key={toast.id} className={`toast ${toast.bad ? 'bad' : ''}`}>
          <span className="grow">{toast.text}</span>
          <Button look="quiet icon small" aria-label="Dismiss" onClick={() => dismiss(toast.id)}>
            <X size={14} />
          </Button>
        </div>
      ))}
    </div>
  )
}
