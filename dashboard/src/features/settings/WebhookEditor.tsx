import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { request } from '../../graphql/client'
import { ApiError, words } from '../../graphql/errors'
import { Ago, Button, Dialog, Problem, SelectField, TextField } from '../../ui/controls'
import { marked } from '../../ui/safe-text'
import { Text } from '../../ui/Text'
import { say } from '../../ui/toast'
import { Remove } from './Remove'
import { Secret } from './Secret'
import {
  ADD_WEBHOOK,
  CHANGE_WEBHOOK,
  EVENTS,
  nameOf,
  REMOVE_WEBHOOK,
  ROTATE_SECRET,
  type Webhook,
  type WebhookEvent,
  type WebhookInput,
} from './webhooks'

interface Draft {
  name: string
  url: string
  active: boolean
  /** Null: everything. */
  events: readonly WebhookEvent[] | null
}

const draftOf = (webhook: Webhook | null): Draft =>
  webhook
    ? { name: webhook.name, url: webhook.url, active: webhook.active, events: webhook.events ?? null }
    : { name: '', url: '', active: true, events: null }

/** What is wrong with one field, or with none of them. */
const wrong = (error: unknown, field: string | null) => {
  if (!error) return undefined
  const meant = error instanceof ApiError ? (error.field ?? null) : null
  const shown = meant && ['input.name', 'input.url', 'input.events'].includes(meant) ? meant : null
  return shown === field ? words(error) : undefined
}

export function WebhookEditor({ webhook }: { webhook: Webhook | null }) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const saved = draftOf(webhook)
  const [written, setWritten] = useState<Draft | null>(null)
  const [secret, setSecret] = useState<{ value: string; leadsTo: string | null } | null>(null)
  const draft = written ?? saved
  const set = (change: Partial<Draft>) => setWritten({ ...draft, ...change })
  const reread = () => client.invalidateQueries({ queryKey: ['webhooks'] })
  const save = useMutation({
    meta: { showsErrors: true },
    mutationFn: async () => {
      const input: WebhookInput = { ...draft, events: draft.events && [...draft.events] }
      if (webhook) {
        await request(CHANGE_WEBHOOK, { id: webhook.id, input })
        return null
      }
      return (await request(ADD_WEBHOOK, { input })).addWebhook
    },
    onSuccess: async (added) => {
      if (added) setSecret({ value: added.secret, leadsTo: added.webhook.id })
      else say('Saved.')
      await reread()
      setWritten(null)
    },
  })
  const remove = useMutation({
    mutationFn: (id: string) => request(REMOVE_WEBHOOK, { id }),
    onSuccess: async () => {
      await navigate({ to: '/settings/webhooks' })
      await reread()
    },
  })
  const seen = () => {
    const leadsTo = secret?.leadsTo
    setSecret(null)
    if (leadsTo) void navigate({ to: '/settings/webhooks/$id', params: { id: leadsTo } })
  }
  return (
    <form
      className="stack"
      aria-label="Webhook"
      onSubmit={(event) => {
        event.preventDefault()
        save.mutate()
      }}
    >
      <h1>{webhook ? <Text>{webhook.name}</Text> : 'New webhook'}</h1>
      {webhook?.switchedOff ? (
        <Problem
          action={
            written?.active ? null : <Button onClick={() => set({ active: true })}>Switch it on again</Button>
          }
        >
          Runyard switched it off: <Text>{webhook.switchedOff}</Text>. What waited was given up and can be
          delivered again by hand.
        </Problem>
      ) : null}
      <div className="inline-form">
        <TextField
          label="Name"
          required
          placeholder="what is told"
          problem={wrong(save.error, 'input.name')}
          value={draft.name}
          onValue={(name) => set({ name })}
        />
        <div className="field slim">
          <SelectField
            label="State"
            value={draft.active ? 'on' : 'off'}
            onValue={(value) => set({ active: value === 'on' })}
          >
            <option value="on">on</option>
            <option value="off">off</option>
          </SelectField>
        </div>
      </div>
      <TextField
        label="Address"
        type="url"
        required
        placeholder="https://hooks.example.org/runyard"
        hint="Public, with https, unless the configuration allows others"
        problem={wrong(save.error, 'input.url')}
        value={draft.url}
        onValue={(url) => set({ url })}
      />
      <Events events={draft.events} onChange={(events) => set({ events })} />
      {wrong(save.error, 'input.events') ? <Problem>{wrong(save.error, 'input.events')}</Problem> : null}
      {wrong(save.error, null) ? <Problem>{wrong(save.error, null)}</Problem> : null}
      <p className="small muted">
        {webhook ? (
          <>
            Signing secret made <Ago at={webhook.secretMadeAt} />
          </>
        ) : (
          'Its signing secret is shown once, when it is added.'
        )}
      </p>
      <div className="row wrap">
        <span className="grow" />
        {webhook ? (
          <>
            <Rotate webhook={webhook} onSecret={(value) => setSecret({ value, leadsTo: null })} />
            <Remove
              title={webhook.name}
              pending={remove.isPending}
              onRemove={() => remove.mutate(webhook.id)}
            >
              It is told nothing any more, and what it was told is forgotten.
            </Remove>
          </>
        ) : null}
        <Button disabled={!written} onClick={() => setWritten(null)}>
          Discard
        </Button>
        <Button type="submit" look="primary" disabled={!written || save.isPending}>
          {webhook ? 'Save' : 'Add'}
        </Button>
      </div>
      {secret ? (
        <Dialog title="The signing secret" onClose={seen}>
          <div className="stack">
            <p>The receiver checks with it that a delivery comes from here.</p>
            <Secret value={secret.value} what="secret" />
          </div>
        </Dialog>
      ) : null}
    </form>
  )
}

function Events({
  events,
  onChange,
}: {
  events: Draft['events']
  onChange: (events: Draft['events']) => void
}) {
  const toggle = (event: WebhookEvent, on: boolean) =>
    onChange(on ? [...(events ?? []), event] : (events ?? []).filter((each) => each !== event))
  return (
    <div className="stack">
      <SelectField
        label="Told of"
        value={events ? 'some' : 'all'}
        onValue={(value) => onChange(value === 'all' ? null : ['QUESTION_ASKED', 'SESSION_COMPLETED'])}
      >
        <option value="all">everything</option>
        <option value="some">what is chosen here</option>
      </SelectField>
      {events ? (
        <div className="card panel webhook-events">
          {EVENTS.map(([about, each]) => (
            <fieldset key={about}>
              <legend>{about}</legend>
              {each.map(([event, meaning]) => (
                <label key={event} title={nameOf(event)}>
                  <input
                    type="checkbox"
                    checked={events.includes(event)}
                    onChange={({ target }) => toggle(event, target.checked)}
                  />{' '}
                  {meaning}
                </label>
              ))}
            </fieldset>
          ))}
        </div>
      ) : null}
    </div>
  )
}

function Rotate({ webhook, onSecret }: { webhook: Webhook; onSecret: (value: string) => void }) {
  const client = useQueryClient()
  const [asking, setAsking] = useState(false)
  const rotate = useMutation({
    mutationFn: async () => (await request(ROTATE_SECRET, { id: webhook.id })).rotateWebhookSecret.secret,
    onSuccess: (value) => {
      onSecret(value)
      return client.invalidateQueries({ queryKey: ['webhooks'] })
    },
    onSettled: () => setAsking(false),
  })
  return (
    <>
      <Button look="quiet" onClick={() => setAsking(true)}>
        New secret …
      </Button>
      {asking ? (
        <Dialog title={`A new secret for “${marked(webhook.name)}”?`} onClose={() => setAsking(false)}>
          <div className="stack">
            <p>
              The present one signs nothing from then on, also not what is tried again. Have the receiver take
              both for a while.
            </p>
            <div className="actions">
              <Button onClick={() => setAsking(false)}>Cancel</Button>
              <Button look="primary" disabled={rotate.isPending} onClick={() => rotate.mutate()}>
                Make a new one
              </Button>
            </div>
          </div>
        </Dialog>
      ) : null}
    </>
  )
}
