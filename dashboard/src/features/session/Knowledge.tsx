import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { Button, Dialog, SelectField } from '../../ui/controls'
import { plural } from '../../ui/format'
import { marked } from '../../ui/safe-text'
import { Text } from '../../ui/Text'
import { personasQuery } from '../settings/knowledge'
import { MOMENTS } from '../settings/learnings'
import { useAct } from './actions'
import { useSession } from './context'

/** The name of something that the team knows, which leads to what it says. */
export function KnowledgeLink({ kind, id, title }: { kind: string; id: string; title: string }) {
  const to = PLACES[kind] ?? '/settings/context/$id'
  return (
    <Link to={to} params={{ id }}>
      <Text>{title}</Text>
    </Link>
  )
}

/** On what occasion, in words; nothing for one that this page does not know. */
export function momentOf(moment: string): string {
  const words = MOMENTS[moment.toUpperCase() as keyof typeof MOMENTS]
  return words ? ` ${words}` : ''
}

const PLACES: Record<string, '/settings/personas/$id' | '/settings/learnings/$id'> = {
  persona: '/settings/personas/$id',
  learning: '/settings/learnings/$id',
}

const KINDS = { PERSONA: 'persona', CONTEXT_FILE: 'context file', LEARNING: 'learning' } as const

/** What the session's runs were told of what the team knows, and the persona from the next run on. */
export function KnowledgeDialog({ onClose }: { onClose: () => void }) {
  const { session, actions } = useSession()
  const act = useAct(session.number)
  const personas = useQuery(personasQuery).data ?? []
  const [persona, setPersona] = useState(session.persona?.id ?? '')
  const chosen = session.persona?.id ?? ''
  const offered = personas.filter((each) => !each.default)
  return (
    <Dialog title="What the agent is told" onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          act.mutate(() => actions.switchPersona(persona || null), { onSuccess: onClose })
        }}
      >
        {session.knowledge.length === 0 ? <p className="muted">Nothing yet: no run has begun.</p> : null}
        {session.knowledge.length > 0 ? (
          <ul className="knowledge" aria-label="Told so far">
            {session.knowledge.map((each) => (
              <li key={each.id}>
                <KnowledgeLink kind={each.kind.toLowerCase()} id={each.id} title={each.title} />{' '}
                <span className="muted small">
                  {KINDS[each.kind]}
                  {each.version > 0 ? `, version ${each.version}` : ''} · {plural(each.runs, 'run')}
                  {each.leftOut ? ' · there was no room for it in the last one' : ''}
                </span>
              </li>
            ))}
          </ul>
        ) : null}
        <SelectField label="Persona" hint="From the next run on" value={persona} onValue={setPersona}>
          <option value="">the default ones</option>
          {offered.map((each) => (
            <option key={each.id} value={each.id}>
              {marked(each.name)}
            </option>
          ))}
          {chosen !== '' && !offered.some((each) => each.id === chosen) ? (
            <option value={chosen}>{marked(session.persona?.title ?? '')}</option>
          ) : null}
        </SelectField>
        <div className="actions">
          <Button onClick={onClose}>Close</Button>
          <Button type="submit" look="primary" disabled={act.isPending || persona === chosen}>
            Switch persona
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
