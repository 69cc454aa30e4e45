import { createContext, useContext } from 'react'
import type { sessionActions } from './actions'
import type { Conversation } from './conversation'
import type { Actor } from './events'
import type { Session } from './queries'

interface Named {
  id: string
  name: string
}

export interface SessionContext {
  session: Session
  /** Everybody of the account; empty until they are known. */
  people: readonly Named[]
  actions: ReturnType<typeof sessionActions>
  me: string | undefined
}

export const SessionContext = createContext<SessionContext | null>(null)

export function useSession(): SessionContext {
  const context = useContext(SessionContext)
  if (!context) throw new Error('there is no session around this component')
  return context
}

/** The name that people see for who did something. */
export function nameOf(actor: Actor, { people, me }: Pick<SessionContext, 'people' | 'me'>): string {
  if (actor.who === 'agent') return 'Agent'
  if (actor.who === 'system') return 'Runyard'
  if (actor.user === me) return 'you'
  return people.find((person) => person.id === actor.user)?.name ?? 'Somebody'
}

/** What the agent is called in a run: by what it does there. The run may have begun before what is held of the log. */
export function agentName(
  run: string | null,
  { runs }: Pick<Conversation, 'runs'>,
  session: Pick<Session, 'runs'>,
): string {
  const told = run ? runs.get(run) : undefined
  const kept = told ?? session.runs.find((each) => each.id === run)
  if (kept && ('actionKind' in kept ? kept.actionKind : kept.kind) === 'plan') return 'Planner'
  return kept?.step ? `Agent · ${kept.step}` : 'Agent'
}
