import { initGraphQLTada } from 'gql.tada'
import type { introspection } from './env'

/** Types every document against `docs/schema.graphql`, which `npm run types` reads. */
export const graphql = initGraphQLTada<{
  introspection: introspection
  disableMasking: true
  scalars: { DateTime: string; JSON: unknown; Long: number }
}>()

export type { FragmentOf, ResultOf, VariablesOf } from 'gql.tada'
