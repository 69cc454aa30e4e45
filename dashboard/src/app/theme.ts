import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'

const KEY = 'runyard.theme'
const listeners = new Set<() => void>()

function stored(): Theme {
  try {
    const theme = localStorage.getItem(KEY)
    return theme === 'light' || theme === 'dark' ? theme : 'system'
  } catch {
    // Some browsers refuse storage; the system's choice is a good one.
    return 'system'
  }
}

let theme: Theme = stored()

export function setTheme(next: Theme) {
  theme = next
  try {
    localStorage.setItem(KEY, next)
  } catch {
    // Then it lasts as long as the page.
  }
  applyTheme()
  for (const listener of listeners) listener()
}

export function applyTheme() {
  if (theme === 'system') delete document.documentElement.dataset.theme
  else document.documentElement.dataset.theme = theme
}

export function useTheme(): Theme {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    () => theme,
  )
}
