/** What the page of the audit log shows, as its address says it. */
export interface AuditSearch {
  who?: string
  action?: string
  text?: string
  /** Days as `2026-11-28`, in the viewer's zone. */
  since?: string
  until?: string
}

const DAY = /^\d{4}-\d{2}-\d{2}$/

export function auditSearch(search: Record<string, unknown>): AuditSearch {
  const text = (name: keyof AuditSearch, fits = (_: string) => true) => {
    const value = search[name]
    // A number in an address is read as one.
    const given = typeof value === 'number' ? String(value) : value
    return typeof given === 'string' && given !== '' && fits(given) ? { [name]: given } : {}
  }
  const day = (value: string) => DAY.test(value) && !Number.isNaN(Date.parse(value))
  return {
    ...text('who'),
    ...text('action'),
    ...text('text'),
    ...text('since', day),
    ...text('until', day),
  }
}

/** The beginning of a day in the viewer's zone, `later` days after it. */
function moment(day: string, later = 0): string {
  const [year = 0, month = 1, date = 1] = day.split('-').map(Number)
  return new Date(year, month - 1, date + later).toISOString()
}

/** What the server is asked for; the last day counts whole. */
export function wantedOf(search: AuditSearch) {
  return {
    who: search.who ?? null,
    action: search.action ?? null,
    text: search.text ?? null,
    since: search.since ? moment(search.since) : null,
    until: search.until ? moment(search.until, 1) : null,
  }
}

/** Where the same entries are had as a file. */
export function exportAddress(format: 'csv' | 'ndjson', search: AuditSearch): string {
  const given = Object.entries(wantedOf(search)).filter((pair): pair is [string, string] => pair[1] !== null)
  const query = new URLSearchParams(given).toString()
  return `/download/audit.${format}${query ? `?${query}` : ''}`
}

export const KINDS = {
  PERSON: 'person',
  ACCOUNT_TOKEN: 'token of the account',
  COMMAND_LINE: 'command line',
  STRANGER: 'not signed in',
  SERVER: 'by itself',
} as const

/** Kinds of actions that one may want to see alone, with their names. */
export const beginningOf = [
  ['sign_in', 'sign-ins'],
  ['person', 'people'],
  ['link', 'invitations and other links'],
  ['token', 'tokens'],
  ['repository', 'repositories'],
  ['session', 'sessions'],
  ['runbook', 'runbooks'],
  ['step', 'steps'],
  ['pull_request', 'pull requests'],
  ['secret', 'secrets'],
  ['webhook', 'webhooks'],
  ['audit', 'the audit log'],
  ['record', 'backups put in place'],
  ['operation', 'what was denied'],
] as const

const SENTENCES = new Map([
  ['sign_in', 'signed in'],
  ['sign_in.end', 'signed out'],
  ['sign_in.end_others', 'signed out everywhere else'],
  ['sign_in.expire', 'ended old sign-ins'],
  ['link.use', 'used a link'],
  ['operation.refused', 'was denied'],
])

const TRIED = new Map([
  ['sign_in', 'tried to sign in'],
  ['link.use', 'tried to use a link'],
])

/** `session.mark_done` as people say it: `session: mark done`. */
export function sentence(action: string, refused = false): string {
  const known = (refused ? TRIED.get(action) : undefined) ?? SENTENCES.get(action)
  if (known) return known
  const [of = '', ...rest] = action.replaceAll('_', ' ').split('.')
  return rest.length > 0 ? `${of}: ${rest.join(' ')}` : of
}
