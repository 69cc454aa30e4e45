import { keepPreviousData, useInfiniteQuery, useMutation, useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useSearch } from '@tanstack/react-router'
import { Download } from 'lucide-react'
import { useState } from 'react'
import { viewerQuery } from '../../app/queries'
import { request } from '../../graphql/client'
import { words } from '../../graphql/errors'
import { graphql, type ResultOf } from '../../graphql/graphql'
import { Button, Problem, SelectField, TextField } from '../../ui/controls'
import { exact } from '../../ui/format'
import { useTitle } from '../../ui/hooks'
import { marked } from '../../ui/safe-text'
import { Text } from '../../ui/Text'
import { type AuditSearch, beginningOf, exportAddress, KINDS, sentence, wantedOf } from './audit'

const AUDIT_LOG = graphql(`
  query AuditLog($first: Int!, $after: String, $filter: AuditWanted) {
    auditLog(first: $first, after: $after, filter: $filter) {
      nodes {
        number at kind actor via address action target outcome hash
        details { name value }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`)
const VERDICT = graphql(`
  query AuditVerdict($noted: String) { auditVerdict(noted: $noted) { whole mark number unfit why } }
`)

type Entry = ResultOf<typeof AUDIT_LOG>['auditLog']['nodes'][number]

const PAGE = 50

export function AuditLog() {
  useTitle('Audit log')
  const admin = useQuery(viewerQuery).data?.role === 'ADMIN'
  return (
    <>
      <h1>Audit log</h1>
      <p className="muted">
        Who did what, and what was refused. Every entry holds a hash of the one before it, and nothing is ever
        changed or removed.
      </p>
      {admin ? <Everything /> : <p className="card empty">Only an admin may read the audit log.</p>}
    </>
  )
}

function Everything() {
  const search = useSearch({ from: '/inside/settings/audit' })
  const filter = wantedOf(search)
  const log = useInfiniteQuery({
    queryKey: ['audit', filter],
    queryFn: async ({ pageParam }) =>
      (await request(AUDIT_LOG, { first: PAGE, after: pageParam, filter })).auditLog,
    initialPageParam: null as string | null,
    getNextPageParam: (page) => (page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null),
    placeholderData: keepPreviousData,
  })
  const entries = log.data?.pages.flatMap((page) => page.nodes) ?? []
  return (
    <>
      <Proof />
      <Filters key={JSON.stringify(search)} search={search} />
      {log.error ? <Problem>{words(log.error)}</Problem> : null}
      {log.isPending ? (
        <p className="card empty" role="status">
          Reading the log …
        </p>
      ) : null}
      {log.data && entries.length === 0 ? (
        <p className="card empty">
          {Object.keys(search).length > 0 ? 'No entry is like that.' : 'Nothing was done yet.'}
        </p>
      ) : null}
      {entries.length > 0 ? (
        <section className="card table-scroll" aria-label="Entries" aria-busy={log.isFetching}>
          <table className="table audit">
            <thead>
              <tr>
                <th>When</th>
                <th>Who</th>
                <th>What</th>
                <th>To what</th>
                <th>More</th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry) => (
                <Row key={entry.number} entry={entry} />
              ))}
            </tbody>
          </table>
        </section>
      ) : null}
      {log.hasNextPage ? (
        <div className="actions section">
          <Button disabled={log.isFetchingNextPage} onClick={() => void log.fetchNextPage()}>
            {log.isFetchingNextPage ? 'Reading …' : 'Show older entries'}
          </Button>
        </div>
      ) : null}
    </>
  )
}

function Row({ entry }: { entry: Entry }) {
  const session = /^r\/(\d+)$/.exec(entry.target)?.[1]
  return (
    <tr>
      <td className="muted nowrap" title={`number ${entry.number}, ${entry.hash}`}>
        <time dateTime={entry.at}>{exact(entry.at)}</time>
      </td>
      <td>
        <Text>{entry.actor || 'somebody'}</Text>
        <span className="muted small block">{KINDS[entry.kind]}</span>
      </td>
      <td>
        <span title={entry.action}>{sentence(entry.action, entry.outcome === 'REFUSED')}</span>{' '}
        {entry.outcome === 'REFUSED' ? <span className="badge bad">refused</span> : null}
      </td>
      <td>
        {session ? (
          <Link to="/r/$number" params={{ number: Number(session) }}>
            {entry.target}
          </Link>
        ) : (
          <Text>{entry.target}</Text>
        )}
      </td>
      <td className="muted small">
        {entry.details.map((each) => (
          <span key={each.name} className="block">
            {each.name.replaceAll('_', ' ')}: <Text>{each.value}</Text>
          </span>
        ))}
        {entry.address ? <span className="block">from {entry.address}</span> : null}
      </td>
    </tr>
  )
}

function Filters({ search }: { search: AuditSearch }) {
  const navigate = useNavigate()
  const [who, setWho] = useState(search.who ?? '')
  const [text, setText] = useState(search.text ?? '')
  const [since, setSince] = useState(search.since ?? '')
  const [until, setUntil] = useState(search.until ?? '')
  const go = (change: Partial<AuditSearch>) => {
    const next = { ...search, who, text, since, until, ...change }
    const kept = Object.entries(next).filter(([, value]) => value)
    return navigate({ to: '/settings/audit', search: Object.fromEntries(kept), replace: true })
  }
  return (
    <form
      className="card panel section stack"
      aria-label="Filter"
      onSubmit={(event) => {
        event.preventDefault()
        void go({})
      }}
    >
      <div className="inline-form">
        <TextField label="Who" placeholder="mail address or token" value={who} onValue={setWho} />
        <TextField label="Text" placeholder="r/42, an address, a name" value={text} onValue={setText} />
        <div className="field slim">
          <SelectField label="What" value={search.action ?? ''} onValue={(action) => void go({ action })}>
            <option value="">everything</option>
            {beginningOf.map(([action, name]) => (
              <option key={action} value={action}>
                {name}
              </option>
            ))}
          </SelectField>
        </div>
      </div>
      <div className="inline-form">
        <TextField label="From" type="date" value={since} onValue={setSince} />
        <TextField label="Until" type="date" value={until} onValue={setUntil} />
        <Button type="submit">Filter</Button>
        {Object.keys(search).length > 0 ? (
          <Button
            look="quiet"
            onClick={() => void navigate({ to: '/settings/audit', search: {}, replace: true })}
          >
            Show everything
          </Button>
        ) : null}
        <a className="button" href={exportAddress('csv', search)} download>
          <Download size={14} aria-hidden="true" /> CSV
        </a>
        <a className="button" href={exportAddress('ndjson', search)} download>
          <Download size={14} aria-hidden="true" /> NDJSON
        </a>
      </div>
    </form>
  )
}

function Proof() {
  const [noted, setNoted] = useState('')
  const look = useMutation({
    meta: { showsErrors: true },
    mutationFn: async () => (await request(VERDICT, { noted: noted.trim() || null })).auditVerdict,
  })
  return (
    <details className="card panel section">
      <summary>Prove that nobody altered it</summary>
      <form
        className="stack section"
        onSubmit={(event) => {
          event.preventDefault()
          look.mutate()
        }}
      >
        <div className="inline-form">
          <TextField
            label="What you noted earlier"
            hint="Number and hash, as this page or “runyard audit verify” gave them; may stay empty"
            problem={look.error ? words(look.error) : undefined}
            value={noted}
            onValue={setNoted}
          />
          <Button type="submit" disabled={look.isPending}>
            {look.isPending ? 'Looking …' : 'Look along the log'}
          </Button>
        </div>
        <div role="status">
          {look.data?.whole ? (
            <p>
              All {look.data.number} entries fit. Note this where nobody who can write to the database can
              write: <code className="break">{look.data.mark}</code>
            </p>
          ) : null}
          {look.data && !look.data.whole ? (
            <p className="problem">
              Entry {look.data.unfit} does not fit: {marked(look.data.why ?? '')}. Compare it with a backup:
              somebody changed the database behind Runyard’s back.
            </p>
          ) : null}
        </div>
      </form>
    </details>
  )
}
