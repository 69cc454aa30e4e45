import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { ArrowUp, SlidersHorizontal } from 'lucide-react'
import { type FormEvent, useEffect, useRef, useState } from 'react'
import { useCommands } from '../../app/commands'
import { isMac } from '../../app/keys'
import { repositoriesQuery } from '../../app/queries'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { graphql } from '../../graphql/graphql'
import { Button, Kbd, SelectField, TextField } from '../../ui/controls'
import { useDraft } from '../../ui/draft'
import { marked } from '../../ui/safe-text'
import { say } from '../../ui/toast'
import { personasQuery } from '../settings/knowledge'

const CREATE = graphql(`
  mutation CreateSession($input: NewSession!) {
    createSession(input: $input) {
      session { number }
      warnings
    }
  }
`)

type PrMode = 'STACKED_PR' | 'SINGLE_PR' | 'MANUAL'

export function NewSession() {
  const navigate = useNavigate()
  const client = useQueryClient()
  const repositories = useQuery(repositoriesQuery).data ?? []
  const [prompt, setPrompt] = useDraft('new-session')
  const [repository, setRepository] = useDraft('new-session.repository')
  const [oneShot, setOneShot] = useState(false)
  const [branch, setBranch] = useState('')
  const [options, setOptions] = useState(false)
  const [prMode, setPrMode] = useState<PrMode | ''>('')
  const [draft, setDraft] = useState<'' | 'draft' | 'open'>('')
  const [labels, setLabels] = useState('')
  const [cost, setCost] = useState('')
  const [persona, setPersona] = useState('')
  const personas = useQuery({ ...personasQuery, enabled: options }).data ?? []
  const text = useRef<HTMLTextAreaElement>(null)
  const chosen = repositories.some((each) => each.name === repository) ? repository : repositories[0]?.name
  useEffect(() => {
    // On a phone the keyboard would cover what waits.
    if (window.matchMedia('(pointer: fine)').matches) text.current?.focus({ preventScroll: true })
  }, [])
  useCommands([
    { id: 'new', title: 'Describe a change', group: 'Home', keys: 'c', run: () => text.current?.focus() },
  ])

  const create = useMutation({
    meta: { showsErrors: true },
    mutationFn: () =>
      request(CREATE, {
        input: {
          repository: chosen ?? '',
          prompt,
          mode: oneShot ? 'ONE_SHOT' : 'STANDARD',
          // What is not chosen is as the server is configured.
          prMode: prMode || null,
          draft: draft === '' ? null : draft === 'draft',
          labels: labels
            .split(',')
            .map((label) => label.trim())
            .filter((label) => label !== ''),
          targetBranch: branch.trim() || null,
          persona: persona || null,
          budget: Number(cost) > 0 ? { cost: Number(cost) } : null,
        },
      }),
    onSuccess: async ({ createSession }) => {
      setPrompt('')
      for (const warning of createSession.warnings) say(warning)
      void client.invalidateQueries({ queryKey: ['sessions'] })
      await navigate({ to: '/r/$number', params: { number: createSession.session.number } })
    },
  })
  const ready = prompt.trim() !== '' && chosen !== undefined && !create.isPending
  const submit = (event?: FormEvent) => {
    event?.preventDefault()
    if (ready) create.mutate()
  }

  return (
    <form className="card ask" onSubmit={submit} aria-label="New session">
      <textarea
        ref={text}
        aria-label="Describe the change"
        placeholder="Upgrade our HTTP client and move every caller to the new interface …"
        value={prompt}
        onChange={(event) => setPrompt(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.metaKey || event.ctrlKey)) submit(event)
        }}
      />
      {create.error ? (
        <p className="problem" role="alert">
          {words(create.error)}
        </p>
      ) : null}
      <div className="bar">
        <select
          className="input"
          aria-label="Repository"
          value={chosen ?? ''}
          onChange={(event) => setRepository(event.target.value)}
        >
          {repositories.length === 0 ? <option value="">no repository yet</option> : null}
          {repositories.map((each) => (
            <option key={each.id} value={each.name}>
              {marked(each.name)}
            </option>
          ))}
        </select>
        <fieldset className="segments" aria-label="Mode">
          <label title="Runyard asks and plans; you decide when steps are executed">
            <input type="radio" name="mode" checked={!oneShot} onChange={() => setOneShot(false)} />
            Plan first
          </label>
          <label title="Runyard plans and executes everything without asking">
            <input type="radio" name="mode" checked={oneShot} onChange={() => setOneShot(true)} />
            One shot
          </label>
        </fieldset>
        <Button
          look="quiet"
          aria-expanded={options}
          aria-controls="new-session-options"
          onClick={() => setOptions(!options)}
        >
          <SlidersHorizontal size={14} /> Options
        </Button>
        <span className="grow" />
        <span className="muted small only-fine">
          <Kbd>{isMac ? '⌘' : 'Ctrl'} ↵</Kbd>
        </span>
        <Button type="submit" look="primary" disabled={!ready}>
          <ArrowUp size={14} /> {create.isPending ? 'Starting …' : oneShot ? 'Start' : 'Plan it'}
        </Button>
      </div>
      {options ? (
        <div className="options" id="new-session-options">
          <TextField
            label="Target branch"
            className="mono"
            placeholder="the default branch"
            value={branch}
            onValue={setBranch}
          />
          <SelectField label="Pull requests" value={prMode} onValue={setPrMode}>
            <option value="">as configured</option>
            <option value="STACKED_PR">stacked, one per step</option>
            <option value="SINGLE_PR">one for everything</option>
            <option value="MANUAL">I decide after each step</option>
          </SelectField>
          <SelectField label="Open them as" value={draft} onValue={setDraft}>
            <option value="">as configured</option>
            <option value="draft">drafts</option>
            <option value="open">ready for review</option>
          </SelectField>
          <TextField label="Labels" placeholder="with commas between" value={labels} onValue={setLabels} />
          <TextField
            label="Budget in dollars"
            type="number"
            min="0"
            step="0.5"
            placeholder="the account's"
            value={cost}
            onValue={setCost}
          />
          <SelectField label="Persona" value={persona} onValue={setPersona}>
            <option value="">the default ones</option>
            {personas
              .filter((each) => !each.default)
              .map((each) => (
                <option key={each.id} value={each.id}>
                  {marked(each.name)}
                </option>
              ))}
          </SelectField>
        </div>
      ) : null}
    </form>
  )
}
