import { queryOptions } from '@tanstack/react-query'
import { request } from '../../graphql/client'
import { graphql, type ResultOf } from '../../graphql/graphql'

const LEARNINGS = graphql(`
  query Learnings(
    $first: Int!, $after: String, $search: String, $repository: String, $state: LearningState, $mostUsed: Boolean!
  ) {
    learnings(
      first: $first, after: $after, search: $search, repository: $repository, state: $state, mostUsed: $mostUsed
    ) {
      found proposed
      nodes {
        id pattern solution appliesTo repositories state version createdAt changedAt used usedAt
        author { name } lessons { session run moment at }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
`)

export type Learning = ResultOf<typeof LEARNINGS>['learnings']['nodes'][number]

const LEARNING = graphql(`
  query Learning($id: ID!) {
    learning(id: $id) {
      id pattern solution appliesTo repositories state version createdAt changedAt used usedAt
      author { name } lessons { session run moment at }
    }
  }
`)

export const LEARNINGS_KEY = ['learnings'] as const

export const learningQuery = (id: string) =>
  queryOptions({
    queryKey: [...LEARNINGS_KEY, 'one', id],
    queryFn: async () => (await request(LEARNING, { id })).learning,
  })

export const ADD_LEARNING = graphql(`
  mutation AddLearning($input: LearningInput!) { addLearning(input: $input) { id } }
`)
export const CHANGE_LEARNING = graphql(`
  mutation ChangeLearning($id: ID!, $expectedVersion: Int!, $input: LearningInput!) {
    changeLearning(id: $id, expectedVersion: $expectedVersion, input: $input) { id version }
  }
`)
export const REMOVE_LEARNING = graphql(`
  mutation RemoveLearning($id: ID!, $expectedVersion: Int!) { removeLearning(id: $id, expectedVersion: $expectedVersion) }
`)

export const MOMENTS = {
  ERROR_RESOLVED: 'when a step that had failed succeeded',
  CHECKS_FIXED: 'when checks that had failed passed',
  REVIEW_ADDRESSED: 'when review feedback was addressed',
  PLAN_CORRECTED: 'when a person corrected the plan',
} as const

/** What the page of learnings shows, as its address says it. */
export interface LearningSearch {
  q?: string
  repo?: string
  state?: Learning['state']
  sort?: 'used'
}

const STATES: readonly string[] = ['PROPOSED', 'ACTIVE', 'OFF']

export function learningSearch(search: Record<string, unknown>): LearningSearch {
  const text = (name: 'q' | 'repo') => {
    const value = search[name]
    // A number in an address is read as one.
    const given = typeof value === 'number' ? String(value) : value
    return typeof given === 'string' && given !== '' ? { [name]: given } : {}
  }
  const { state, sort } = search
  return {
    ...text('q'),
    ...text('repo'),
    ...(STATES.includes(String(state)) ? { state: state as Learning['state'] } : {}),
    ...(sort === 'used' ? { sort } : {}),
  }
}

const PAGE = 30

/** The learnings that an address asks for, a page at a time. */
export const learningsOf = ({ q, repo, state, sort }: LearningSearch) => ({
  queryKey: [...LEARNINGS_KEY, 'list', q, repo, state, sort],
  queryFn: async ({ pageParam }: { pageParam: string | null }) =>
    (
      await request(LEARNINGS, {
        first: PAGE,
        after: pageParam,
        search: q ?? null,
        repository: repo ?? null,
        state: state ?? null,
        mostUsed: sort === 'used',
      })
    ).learnings,
  initialPageParam: null as string | null,
  getNextPageParam: (page: ResultOf<typeof LEARNINGS>['learnings']) =>
    page.pageInfo.hasNextPage ? (page.pageInfo.endCursor ?? null) : null,
})

/** What a form of a learning holds. */
export interface LearningDraft {
  pattern: string
  solution: string
  appliesTo: string
  repositories: string
}

export const EMPTY: LearningDraft = { pattern: '', solution: '', appliesTo: '', repositories: '' }

export const draftOf = (learning: Learning): LearningDraft => ({
  pattern: learning.pattern,
  solution: learning.solution,
  appliesTo: learning.appliesTo.join(', '),
  repositories: learning.repositories.join(', '),
})

const listed = (text: string) =>
  text
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')

export const inputOf = (draft: LearningDraft, state: Learning['state']) => ({
  pattern: draft.pattern.trim(),
  solution: draft.solution.trim(),
  appliesTo: listed(draft.appliesTo),
  repositories: listed(draft.repositories),
  state,
})
