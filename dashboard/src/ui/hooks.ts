import { useEffect, useState, useSyncExternalStore } from 'react'

const clocks = new Map<number, { now: number; listeners: Set<() => void>; timer: number }>()

/** The time, which moves on every `every` milliseconds; all who ask for the same pace share one timer. */
export function useNow(every: number): number {
  return useSyncExternalStore(
    (listener) => {
      let clock = clocks.get(every)
      if (!clock) {
        const made = { now: Date.now(), listeners: new Set<() => void>(), timer: 0 }
        made.timer = window.setInterval(() => {
          made.now = Date.now()
          for (const each of made.listeners) each()
        }, every)
        clocks.set(every, made)
        clock = made
      }
      const mine = clock
      mine.listeners.add(listener)
      return () => {
        mine.listeners.delete(listener)
        if (mine.listeners.size > 0) return
        window.clearInterval(mine.timer)
        clocks.delete(every)
      }
    },
    () => clocks.get(every)?.now ?? Math.floor(Date.now() / every) * every,
  )
}

let titled = ''
let counted = 0

function showTitle() {
  const words = titled ? `${titled} · Runyard` : 'Runyard'
  document.title = counted > 0 ? `(${counted}) ${words}` : words
}

/** What stands before the title of every page: how much waits for the person. */
export function setTitleCount(count: number) {
  counted = count
  showTitle()
}

export function useTitle(title: string) {
  useEffect(() => {
    titled = title
    showTitle()
  }, [title])
}

/** True while the media query holds. */
export function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = window.matchMedia(query)
      media.addEventListener('change', listener)
      return () => media.removeEventListener('change', listener)
    },
    () => window.matchMedia(query).matches,
  )
}

/** A value once it has stayed the same for so many milliseconds. */
export function useSettled<T>(value: T, milliseconds: number): T {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = window.setTimeout(() => setSettled(value), milliseconds)
    return () => window.clearTimeout(timer)
  }, [value, milliseconds])
  return settled
}
