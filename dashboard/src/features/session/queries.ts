import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { request } from '../../graphql/client'
import { graphql, type ResultOf, type VariablesOf } from '../../graphql/graphql'

const SESSION = graphql(`
  query Session($number: Int!) {
    session(number: $number) {
      id number title prompt mode prMode draft labels targetBranch base repository worked archived createdAt lastEvent sandbox
      requester { id name }
      phase { kind step action message reason }
      usage { input output cacheRead cacheWrite cost }
      budget { cost tokens seconds }
      runBudget { cost tokens seconds }
      runbook { version }
      versions { version createdAt restores author { id name } }
      steps { id number title leaf body state reason skip { reason at by { id name } } pullRequest seconds usage { cost } }
      queue { id kind step state createdAt requestedBy { id name } }
      runs { id kind step state reason message startedAt finishedAt usage { input output cacheRead cacheWrite cost } }
      changes { id branch baseBranch head state pullRequest title steps }
      openRequests { id }
      persona { id title }
      knowledge { id kind title version runs leftOut }
    }
  }
`)

export type Session = NonNullable<ResultOf<typeof SESSION>['session']>
export type Step = Session['steps'][number]
export type Run = Session['runs'][number]
export type Change = Session['changes'][number]

export const sessionKey = (number: number) => ['session', number] as const

export const sessionQuery = (number: number) =>
  queryOptions({
    queryKey: sessionKey(number),
    queryFn: async () => (await request(SESSION, { number })).session,
  })

export const NEWEST = graphql(`
  query Newest($number: Int!) {
    session(number: $number) { lastEvent }
  }
`)

export const EVENTS = graphql(`
  query Events($number: Int!, $after: Int!, $first: Int!) {
    session(number: $number) {
      events(after: $after, first: $first) {
        nodes { number at kind payload }
        hasMore
      }
    }
  }
`)

const FOUND = graphql(`
  query FindEvents($number: Int!, $after: Int!, $matching: EventFilter!) {
    session(number: $number) {
      events(after: $after, first: 200, matching: $matching) {
        nodes { number at kind payload }
        reached
        hasMore
      }
    }
  }
`)

export type Matching = Exclude<Parameters<typeof find>[1], undefined>

const find = async (number: number, matching: VariablesOf<typeof FOUND>['matching'], after: number) => {
  const found = (await request(FOUND, { number, matching, after })).session?.events
  return found ?? { nodes: [], reached: after, hasMore: false }
}

/** Events of a log page by page, by the page's place: they never change. */
export const eventsQuery = (number: number, after: number, first: number) =>
  queryOptions({
    queryKey: ['events', number, after, first],
    queryFn: async () => (await request(EVENTS, { number, after, first })).session?.events.nodes ?? [],
    staleTime: Number.POSITIVE_INFINITY,
    // Pages that nobody looks at are let go soon.
    gcTime: 10_000,
  })

/** Events that match, from the first on. */
export const foundQuery = (number: number, matching: Matching) =>
  infiniteQueryOptions({
    queryKey: ['events', number, matching],
    queryFn: ({ pageParam }) => find(number, matching, pageParam),
    initialPageParam: 0,
    getNextPageParam: (page) => page.reached,
    staleTime: Number.POSITIVE_INFINITY,
    gcTime: 10_000,
  })

const OUTPUT = graphql(`
  query Output($number: Int!, $exec: ID!, $from: Long!, $most: Int!) {
    session(number: $number) {
      output(exec: $exec, from: $from, most: $most) { text from to size }
    }
  }
`)

/** A part of what a process wrote. */
export const outputQuery = (number: number, exec: string, from: number, most: number) =>
  queryOptions({
    queryKey: ['output', number, exec, from, most],
    queryFn: async () => (await request(OUTPUT, { number, exec, from, most })).session?.output ?? null,
    gcTime: 10_000,
  })

export const NEW_EVENTS = graphql(`
  subscription NewEvents($session: Int!, $after: Int!) {
    events(session: $session, after: $after) { number at kind payload }
  }
`)

const RUNBOOK = graphql(`
  query Runbook($number: Int!, $version: Int) {
    session(number: $number) {
      runbook(version: $version) { version body createdAt restores author { id name } }
    }
  }
`)

export const runbookQuery = (number: number, version: number) =>
  queryOptions({
    queryKey: [...sessionKey(number), 'runbook', version],
    queryFn: async () => (await request(RUNBOOK, { number, version })).session?.runbook ?? null,
    // A version never changes.
    staleTime: Number.POSITIVE_INFINITY,
  })

const LINT = graphql(`
  mutation Lint($text: String!) {
    lintRunbook(text: $text) { severity code message help line column }
  }
`)

export type Diagnostic = ResultOf<typeof LINT>['lintRunbook'][number]

export const lintRunbook = async (text: string) => (await request(LINT, { text })).lintRunbook
