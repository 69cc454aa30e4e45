import { createContext, useCallback, useContext, useEffect, useMemo, useRef, useState } from 'react'
import { request } from '../../graphql/client'
import { graphql, type ResultOf } from '../../graphql/graphql'
import { subscribe } from '../../graphql/live'

const PRESENCE = graphql(`
  subscription Presence($session: Int!) { presence(session: $session) { id name typing } }
`)
const TYPING = graphql(`
  mutation Typing($session: Int!, $typing: Boolean!) { setTyping(session: $session, typing: $typing) }
`)

/** Somebody who has the session's page open. */
export type Present = ResultOf<typeof PRESENCE>['presence'][number]

/** Whoever types says so again after so long, in milliseconds; the server forgets it after twice that. */
const AGAIN = 3_000

/** Everybody else who has the session's page open. */
export const Others = createContext<readonly Present[]>([])

export const useOthers = () => useContext(Others)

/** Follows who else looks at a session, and is seen there. */
export function usePresence(session: number, me: string | undefined): readonly Present[] {
  const [present, setPresent] = useState<readonly Present[]>([])
  useEffect(
    () =>
      subscribe({
        document: PRESENCE,
        variables: () => ({ session }),
        next: (data) => setPresent(data.presence),
        // The session's own query says what is wrong.
        refused: () => setPresent([]),
      }),
    [session],
  )
  return useMemo(() => present.filter((each) => each.id !== me), [present, me])
}

/** Tells the others that a message is being written, or is not any more. */
export function useTyping(session: number): (typing: boolean) => void {
  const told = useRef<number | null>(null)
  return useCallback(
    (typing) => {
      const now = Date.now()
      if (typing ? told.current !== null && now - told.current < AGAIN : told.current === null) return
      told.current = typing ? now : null
      // It is no loss when the others do not hear of it.
      request(TYPING, { session, typing }).catch(() => {})
    },
    [session],
  )
}
