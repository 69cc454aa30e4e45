import { MutationCache, QueryCache, QueryClient, queryOptions } from '@tanstack/react-query'
import { request } from '../graphql/client'
import { isSignedOut, Unreachable } from '../graphql/errors'
import { graphql, type ResultOf } from '../graphql/graphql'
import { sayError } from '../ui/toast'

let onSignedOut: () => void = () => {}

/** Says what to do when the server no longer knows who asks. */
export function whenSignedOut(act: () => void) {
  onSignedOut = act
}

export const queryClient = new QueryClient({
  queryCache: new QueryCache({ onError: (error) => isSignedOut(error) && onSignedOut() }),
  mutationCache: new MutationCache({
    onError: (error, _variables, _result, mutation) => {
      if (isSignedOut(error)) onSignedOut()
      else if (!mutation.meta?.showsErrors) sayError(error)
    },
  }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // A refusal stays one; a lost connection may come back.
      retry: (failures, error) => error instanceof Unreachable && failures < 2,
    },
    mutations: { retry: false },
  },
})

const VIEWER = graphql(`
  query Viewer {
    viewer {
      role
      version
      account { name }
      person { id name email role }
      signIns { id createdAt usedAt agent current }
    }
  }
`)

export type Viewer = ResultOf<typeof VIEWER>['viewer']

export const viewerQuery = queryOptions({
  queryKey: ['viewer'],
  queryFn: async () => (await request(VIEWER)).viewer,
  staleTime: 60_000,
})

const SESSIONS = graphql(`
  query Sessions($first: Int!, $after: String, $archived: Boolean!, $search: String) {
    sessions(first: $first, after: $after, archived: $archived, search: $search) {
      nodes {
        number title repository completed total cost createdAt archived
        phase { kind step action message reason }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`)

export type SessionLine = ResultOf<typeof SESSIONS>['sessions']['nodes'][number]

/** Sessions, newest first; those that a search finds when there is one. */
export const sessionsQuery = (archived = false, search = '', first = 50) =>
  queryOptions({
    queryKey: ['sessions', archived, search, first],
    queryFn: async () =>
      (await request(SESSIONS, { first, after: null, archived, search: search === '' ? null : search }))
        .sessions,
  })

const PEOPLE = graphql(`
  query People { people { id name email role active hasPassword } }
`)

export type Person = ResultOf<typeof PEOPLE>['people'][number]

export const peopleQuery = queryOptions({
  queryKey: ['people'],
  queryFn: async () => (await request(PEOPLE)).people,
})

const REPOSITORIES = graphql(`
  query Repositories {
    repositories { id name forge location }
  }
`)

export const repositoriesQuery = queryOptions({
  queryKey: ['repositories'],
  queryFn: async () => (await request(REPOSITORIES)).repositories,
})
