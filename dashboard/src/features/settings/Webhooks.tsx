import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { viewerQuery } from '../../app/queries'
import { words } from '../../graphql/errors'
import { Ago, Problem } from '../../ui/controls'
import { plural } from '../../ui/format'
import { useTitle } from '../../ui/hooks'
import { Text } from '../../ui/Text'
import { Deliveries } from './Deliveries'
import { WebhookEditor } from './WebhookEditor'
import { webhookQuery, webhooksQuery } from './webhooks'

const hostOf = (url: string) => URL.parse(url)?.host ?? url

export function Webhooks() {
  useTitle('Webhooks')
  const configures = useConfigures()
  const webhooks = useQuery({ ...webhooksQuery, enabled: configures === true, refetchInterval: 15_000 })
  return (
    <>
      <div className="row">
        <h1 className="grow">Webhooks</h1>
        {configures ? (
          <Link className="button primary" to="/settings/webhooks/$id" params={{ id: 'new' }}>
            Add webhook
          </Link>
        ) : null}
      </div>
      <p className="muted">
        Addresses outside that are told what happens in sessions. Every delivery is signed; one that fails is
        tried again for about a day.
      </p>
      {configures === false ? <NotYours /> : null}
      {webhooks.error ? <Problem>{words(webhooks.error)}</Problem> : null}
      {webhooks.data?.length === 0 ? <p className="card empty">Nobody is told of anything yet.</p> : null}
      {webhooks.data && webhooks.data.length > 0 ? (
        <section className="card table-scroll" aria-label="Webhooks">
          <table className="table">
            <thead>
              <tr>
                <th>Name</th>
                <th>State</th>
                <th>Told of</th>
                <th>Where</th>
              </tr>
            </thead>
            <tbody>
              {webhooks.data.map((webhook) => (
                <tr key={webhook.id}>
                  <td>
                    <Link to="/settings/webhooks/$id" params={{ id: webhook.id }}>
                      <Text>{webhook.name}</Text>
                    </Link>
                  </td>
                  <td>
                    {webhook.switchedOff ? (
                      <span className="badge bad">✗ switched off: it failed</span>
                    ) : !webhook.active ? (
                      <span className="badge">○ off</span>
                    ) : webhook.failingSince ? (
                      <span className="badge bad">
                        ✗ failing since <Ago at={webhook.failingSince} />
                      </span>
                    ) : (
                      <span className="badge">✓ on</span>
                    )}
                  </td>
                  <td className="muted">
                    {webhook.events ? plural(webhook.events.length, 'event') : 'everything'}
                  </td>
                  <td className="muted">
                    <Text>{hostOf(webhook.url)}</Text>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ) : null}
    </>
  )
}

/** A webhook, or a new one. */
export function WebhookPage() {
  const { id } = useParams({ from: '/inside/settings/webhooks/$id' })
  const fresh = id === 'new'
  const configures = useConfigures()
  const webhook = useQuery({
    ...webhookQuery(id),
    enabled: !fresh && configures === true,
    refetchInterval: 5_000,
  })
  useTitle(fresh ? 'New webhook' : (webhook.data?.name ?? 'Webhook'))
  return (
    <>
      <p>
        <Link to="/settings/webhooks">Webhooks</Link>
      </p>
      {configures === false ? <NotYours /> : null}
      {webhook.error ? <Problem>{words(webhook.error)}</Problem> : null}
      {fresh && configures ? <WebhookEditor key="new" webhook={null} /> : null}
      {webhook.data ? (
        <>
          <WebhookEditor key={id} webhook={webhook.data} />
          <Deliveries webhook={webhook.data} />
        </>
      ) : null}
      {webhook.data === null ? <p className="card empty">This webhook does not exist any more.</p> : null}
    </>
  )
}

/** Whether the viewer may; undefined while that is not known. */
function useConfigures(): boolean | undefined {
  const role = useQuery(viewerQuery).data?.role
  return role && role !== 'MEMBER'
}

const NotYours = () => <p className="card empty">Only a maintainer may look at webhooks.</p>
