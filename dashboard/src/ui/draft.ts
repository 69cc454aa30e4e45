import { useEffect, useState } from 'react'

/** Text that survives a reload, by a name. */
export function useDraft(name: string): [string, (text: string) => void] {
  const key = `runyard.draft.${name}`
  const [text, setText] = useState(() => read(key))
  useEffect(() => setText(read(key)), [key])
  return [
    text,
    (next) => {
      setText(next)
      try {
        if (next === '') localStorage.removeItem(key)
        else localStorage.setItem(key, next)
      } catch {
        // Without storage it lasts as long as the page.
      }
    },
  ]
}

function read(key: string): string {
  try {
    return localStorage.getItem(key) ?? ''
  } catch {
    return ''
  }
}
