import { queryOptions } from '@tanstack/react-query'
import { request } from '../../graphql/client'
import { graphql, type ResultOf, type VariablesOf } from '../../graphql/graphql'

const WEBHOOKS = graphql(`
  query Webhooks { webhooks { id name url events active switchedOff failingSince } }
`)

export const webhooksQuery = queryOptions({
  queryKey: ['webhooks'],
  queryFn: async () => (await request(WEBHOOKS)).webhooks,
})

const WEBHOOK = graphql(`
  query Webhook($id: ID!) {
    webhook(id: $id) { id name url events active switchedOff failingSince secretMadeAt changedAt }
  }
`)

export type Webhook = NonNullable<ResultOf<typeof WEBHOOK>['webhook']>

export const webhookQuery = (id: string) =>
  queryOptions({
    queryKey: ['webhooks', id],
    queryFn: async () => (await request(WEBHOOK, { id })).webhook,
  })

export const DELIVERIES = graphql(`
  query WebhookDeliveries($id: ID!, $first: Int!, $after: String) {
    webhook(id: $id) {
      deliveries(first: $first, after: $after) {
        nodes {
          id event session createdAt state attempts nextAttemptAt attemptedAt durationMs status error answer
        }
        pageInfo { hasNextPage endCursor }
      }
    }
  }
`)

export type Delivery = NonNullable<ResultOf<typeof DELIVERIES>['webhook']>['deliveries']['nodes'][number]

export const ADD_WEBHOOK = graphql(`
  mutation AddWebhook($input: WebhookInput!) { addWebhook(input: $input) { secret webhook { id name } } }
`)
export const CHANGE_WEBHOOK = graphql(`
  mutation ChangeWebhook($id: ID!, $input: WebhookInput!) { changeWebhook(id: $id, input: $input) { id } }
`)
export const REMOVE_WEBHOOK = graphql(`
  mutation RemoveWebhook($id: ID!) { removeWebhook(id: $id) { id } }
`)
export const ROTATE_SECRET = graphql(`
  mutation RotateWebhookSecret($id: ID!) { rotateWebhookSecret(id: $id) { secret webhook { id name } } }
`)
export const PING = graphql(`
  mutation PingWebhook($id: ID!) { pingWebhook(id: $id) { id } }
`)
export const REDELIVER = graphql(`
  mutation Redeliver($webhook: ID!, $delivery: ID!) { redeliver(webhook: $webhook, delivery: $delivery) { id } }
`)

export type WebhookInput = VariablesOf<typeof ADD_WEBHOOK>['input']
export type WebhookEvent = Delivery['event']

/** What can be chosen, and what each means. A ping is told to everybody who asks for one. */
const MEANINGS: Record<Exclude<WebhookEvent, 'PING'>, string> = {
  SESSION_CREATED: 'made',
  SESSION_COMPLETED: 'every step completed',
  SESSION_ARCHIVED: 'archived',
  SESSION_UNARCHIVED: 'taken out of the archive',
  RUNBOOK_VERSION: 'new version of the runbook',
  QUESTION_ASKED: 'something waits for a person',
  QUESTION_ANSWERED: 'answered or cancelled',
  STEP_QUEUED: 'queued',
  STEP_IN_PROGRESS: 'in progress',
  STEP_WAITING: 'waits for a person',
  STEP_COMPLETED: 'completed',
  STEP_FAILED: 'failed or stopped',
  STEP_NOT_STARTED: 'out of the queue, or taken back',
  RUN_RUNNING: 'begun',
  RUN_WAITING: 'waits for a person',
  RUN_SUCCEEDED: 'succeeded',
  RUN_FAILED: 'failed',
  RUN_STOPPED: 'stopped',
  CHANGE_BRANCH: 'branch without pull request',
  CHANGE_DRAFT: 'draft',
  CHANGE_OPEN: 'open for review',
  CHANGE_MERGED: 'merged',
  CHANGE_CLOSED: 'closed',
}

const ALL = Object.entries(MEANINGS) as [WebhookEvent, string][]
const of = (...things: string[]) => ALL.filter(([event]) => things.includes(event.split('_')[0] ?? ''))

/** The same by what they are about. */
export const EVENTS: readonly [about: string, events: readonly [WebhookEvent, string][]][] = [
  ['Sessions', of('SESSION', 'RUNBOOK')],
  ['Questions', of('QUESTION')],
  ['Steps', of('STEP')],
  ['Runs', of('RUN')],
  ['Changes', of('CHANGE')],
]

/** `STEP_NOT_STARTED` as it is told: `step.not_started`. */
export const nameOf = (event: WebhookEvent): string => event.toLowerCase().replace('_', '.')
