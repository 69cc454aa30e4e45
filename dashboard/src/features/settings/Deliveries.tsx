import { useInfiniteQuery, useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { Ago, Button, Problem } from '../../ui/controls'
import { plural } from '../../ui/format'
import { Text } from '../../ui/Text'
import { DELIVERIES, type Delivery, nameOf, PING, REDELIVER, type Webhook } from './webhooks'

const PAGE = 20

/** What a webhook was told, newest first, and telling it again. */
export function Deliveries({ webhook }: { webhook: Webhook }) {
  const client = useQueryClient()
  const reread = () => client.invalidateQueries({ queryKey: ['webhooks', webhook.id] })
  const log = useInfiniteQuery({
    queryKey: ['webhooks', webhook.id, 'deliveries'],
    queryFn: async ({ pageParam }) =>
      (await request(DELIVERIES, { id: webhook.id, first: PAGE, after: pageParam })).webhook?.deliveries,
    initialPageParam: null as string | null,
    getNextPageParam: (page) => (page?.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null),
    refetchInterval: 5_000,
  })
  const ping = useMutation({
    mutationFn: () => request(PING, { id: webhook.id }),
    onSettled: reread,
  })
  const again = useMutation({
    mutationFn: (delivery: string) => request(REDELIVER, { webhook: webhook.id, delivery }),
    onSettled: reread,
  })
  const deliveries = log.data?.pages.flatMap((page) => page?.nodes ?? []) ?? []
  return (
    <section className="section stack" aria-label="Deliveries">
      <div className="row wrap">
        <h2 className="grow">Deliveries</h2>
        <Button disabled={!webhook.active || ping.isPending} onClick={() => ping.mutate()}>
          Send a test event
        </Button>
      </div>
      {log.error ? <Problem>{words(log.error)}</Problem> : null}
      {log.data && deliveries.length === 0 ? <p className="card empty">It was told nothing yet.</p> : null}
      {deliveries.map((delivery) => (
        <Entry
          key={delivery.id}
          delivery={delivery}
          may={webhook.active && !again.isPending}
          onAgain={() => again.mutate(delivery.id)}
        />
      ))}
      {log.hasNextPage ? (
        <div className="actions">
          <Button disabled={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
            {log.isFetchingNextPage ? 'Reading …' : 'Show older deliveries'}
          </Button>
        </div>
      ) : null}
    </section>
  )
}

function Entry({ delivery, may, onAgain }: { delivery: Delivery; may: boolean; onAgain: () => void }) {
  const session = /^r\/(\d+)$/.exec(delivery.session ?? '')?.[1]
  return (
    <details className="card panel delivery">
      <summary>
        <State delivery={delivery} />
        <span className="grow">{nameOf(delivery.event)}</span>
        {delivery.session ? <span className="muted small">{delivery.session}</span> : null}
        <Ago at={delivery.createdAt} className="muted small" />
      </summary>
      <div className="stack section">
        <p className="small muted">
          {plural(delivery.attempts, 'attempt')}
          {delivery.attemptedAt ? (
            <>
              , the last <Ago at={delivery.attemptedAt} />
              {delivery.durationMs === null ? null : ` in ${delivery.durationMs} ms`}
            </>
          ) : null}
          {delivery.nextAttemptAt ? (
            <>
              ; next <Ago at={delivery.nextAttemptAt} />
            </>
          ) : null}
        </p>
        {delivery.error ? (
          <p className="problem">
            <Text>{delivery.error}</Text>
          </p>
        ) : null}
        {delivery.answer ? (
          <pre className="delivery-answer">
            <Text>{delivery.answer}</Text>
          </pre>
        ) : null}
        <div className="row wrap">
          <code className="grow small muted break">{delivery.id}</code>
          {session ? (
            <Link className="button small" to="/r/$number" params={{ number: Number(session) }}>
              Open {delivery.session}
            </Link>
          ) : null}
          {delivery.state === 'WAITING' ? null : (
            <Button look="small" disabled={!may} onClick={onAgain}>
              Deliver again
            </Button>
          )}
        </div>
      </div>
    </details>
  )
}

function State({ delivery }: { delivery: Delivery }) {
  const status = delivery.status ? ` ${delivery.status}` : ''
  if (delivery.state === 'DELIVERED') return <span className="badge">✓ delivered{status}</span>
  if (delivery.state === 'GIVEN_UP') return <span className="badge bad">✗ given up{status}</span>
  if (delivery.error) return <span className="badge bad">◔ will be tried again{status}</span>
  return <span className="badge">◔ waiting</span>
}
