import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef, useSyncExternalStore } from 'react'
import icon from '../icon.svg'
import waitingIcon from '../icon-waiting.svg'
import { setTitleCount } from '../ui/hooks'
import { marked } from '../ui/safe-text'
import { type SessionLine, sessionsQuery } from './queries'

const KEY = 'runyard.notify'
const listeners = new Set<() => void>()

/** Whether this browser tells: what the person wants, and what the browser lets. */
export type Telling = 'on' | 'off' | 'refused' | 'impossible'

function telling(): Telling {
  if (!('Notification' in window)) return 'impossible'
  if (Notification.permission === 'denied') return 'refused'
  try {
    return Notification.permission === 'granted' && localStorage.getItem(KEY) === 'on' ? 'on' : 'off'
  } catch {
    return 'off'
  }
}

export const useTelling = (): Telling =>
  useSyncExternalStore((listener) => {
    listeners.add(listener)
    return () => void listeners.delete(listener)
  }, telling)

/** Turns notifications of this browser on or off. The browser asks the person, so this is for a click only. */
export async function setTelling(on: boolean): Promise<void> {
  if (on && Notification.permission === 'default') await Notification.requestPermission()
  try {
    if (on) localStorage.setItem(KEY, 'on')
    else localStorage.removeItem(KEY)
  } catch {
    // Without storage there is nowhere to keep the wish.
  }
  for (const listener of listeners) listener()
}

/** What of a session is worth calling somebody for, when it was not so before; nothing is before a new one. */
export function news(before: SessionLine | null, now: SessionLine): string | null {
  if (before?.phase.kind === now.phase.kind) return null
  switch (now.phase.kind) {
    case 'WAITING':
      return 'waits for an answer'
    case 'PLANNED':
      // A plan that was there before, and of which a step was done, waits for nobody.
      return !before || before.phase.kind === 'PLANNING' ? 'has a plan to look at' : null
    case 'PLAN_FAILED':
      return 'could not be planned'
    case 'FAILED':
      return `failed at step ${now.phase.step}`
    case 'COMPLETED':
      return 'is done and can be reviewed'
    default:
      return null
  }
}

/** Shows in the tab how much waits for a person, and calls them when something new does while they look elsewhere. */
export function useAttention() {
  const navigate = useNavigate()
  const { data } = useQuery(sessionsQuery())
  const waiting = data?.nodes.filter((session) => session.phase.kind === 'WAITING').length ?? 0
  useEffect(() => {
    setTitleCount(waiting)
    const link = document.querySelector<HTMLLinkElement>('link[rel="icon"]')
    if (link) link.href = waiting > 0 ? waitingIcon : icon
    return () => setTitleCount(0)
  }, [waiting])

  const known = useRef<ReadonlyMap<number, SessionLine> | null>(null)
  useEffect(() => {
    if (!data) return
    const before = known.current
    known.current = new Map(data.nodes.map((session) => [session.number, session]))
    if (!before || telling() !== 'on' || document.hasFocus()) return
    const newest = Math.max(0, ...before.keys())
    for (const session of data.nodes) {
      const known = before.get(session.number) ?? null
      // An older one comes into the list when another one leaves it.
      if (!known && session.number <= newest) continue
      const words = news(known, session)
      if (!words) continue
      const notification = new Notification(`r/${session.number} ${words}`, {
        body: marked(session.title),
        // The newest word on a session takes the place of the one before.
        tag: `runyard-r${session.number}`,
        icon,
      })
      notification.onclick = () => {
        window.focus()
        notification.close()
        void navigate({ to: '/r/$number', params: { number: session.number } })
      }
    }
  }, [data, navigate])
}
