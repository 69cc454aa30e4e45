import { createContext, useContext, useState } from 'react'

/** The entries that a person opened: they are open again when they come back into sight. */
export const OpenedContext = createContext<Set<number>>(new Set())

/** Whether an entry is open, by its number. */
export function useOpened(number: number): [boolean, (open: boolean) => void] {
  const all = useContext(OpenedContext)
  const [open, setOpen] = useState(() => all.has(number))
  return [
    open,
    (next) => {
      if (next) all.add(number)
      else all.delete(number)
      setOpen(next)
    },
  ]
}
