import { queryOptions } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { request } from '../../graphql/client'
import { graphql, type ResultOf } from '../../graphql/graphql'

const CONTEXT_FILES = graphql(`
  query ContextFiles {
    contextFiles { id title repositories priority enabled used usedAt changedAt author { name } }
  }
`)

export const contextFilesQuery = queryOptions({
  queryKey: ['context-files'],
  queryFn: async () => (await request(CONTEXT_FILES)).contextFiles,
})

const CONTEXT_FILE = graphql(`
  query ContextFile($id: ID!) {
    contextFile(id: $id) { id title text repositories priority enabled files version changedAt used author { name } }
  }
`)

export type ContextFile = NonNullable<ResultOf<typeof CONTEXT_FILE>['contextFile']>

export const contextFileQuery = (id: string) =>
  queryOptions({
    queryKey: ['context-files', id],
    queryFn: async () => (await request(CONTEXT_FILE, { id })).contextFile,
  })

export const ADD_CONTEXT_FILE = graphql(`
  mutation AddContextFile($input: ContextFileInput!) { addContextFile(input: $input) { id } }
`)
export const CHANGE_CONTEXT_FILE = graphql(`
  mutation ChangeContextFile($id: ID!, $expectedVersion: Int!, $input: ContextFileInput!) {
    changeContextFile(id: $id, expectedVersion: $expectedVersion, input: $input) { id version }
  }
`)
export const REMOVE_CONTEXT_FILE = graphql(`
  mutation RemoveContextFile($id: ID!, $expectedVersion: Int!) {
    removeContextFile(id: $id, expectedVersion: $expectedVersion) { id }
  }
`)

const PERSONAS = graphql(`
  query Personas { personas { id name role default shared used usedAt changedAt } }
`)

export type PersonaLine = ResultOf<typeof PERSONAS>['personas'][number]

export const personasQuery = queryOptions({
  queryKey: ['personas'],
  queryFn: async () => (await request(PERSONAS)).personas,
})

const PERSONA = graphql(`
  query Persona($id: ID!) {
    persona(id: $id) { id name role instructions default original shared version changedAt used author { name } }
  }
`)

export type Persona = NonNullable<ResultOf<typeof PERSONA>['persona']>

export const personaQuery = (id: string) =>
  queryOptions({
    queryKey: ['personas', id],
    queryFn: async () => (await request(PERSONA, { id })).persona,
  })

export const ADD_PERSONA = graphql(`
  mutation AddPersona($input: PersonaInput!, $shared: Boolean!) { addPersona(input: $input, shared: $shared) { id } }
`)
export const CHANGE_PERSONA = graphql(`
  mutation ChangePersona($id: ID!, $expectedVersion: Int!, $input: PersonaInput!) {
    changePersona(id: $id, expectedVersion: $expectedVersion, input: $input) { id version }
  }
`)
export const REMOVE_PERSONA = graphql(`
  mutation RemovePersona($id: ID!, $expectedVersion: Int!) {
    removePersona(id: $id, expectedVersion: $expectedVersion) { id }
  }
`)

export const ROLES = {
  PLANNER: 'planning and answering',
  DEVELOPER: 'executing and revising',
  CUSTOM: 'everything',
} as const

export type Role = keyof typeof ROLES

export interface Versioned<Draft> {
  version: number
  draft: Draft
}

/**
 * What somebody writes on top of a version. The version moves on by itself only while there is nothing of one's own to
 * lose; otherwise it is a conflict, which the writer decides.
 */
export function useVersioned<Draft>(newest: Versioned<Draft>) {
  const [base, setBase] = useState(newest)
  const [written, write] = useState<Draft | null>(null)
  const dirty = written !== null && JSON.stringify(written) !== JSON.stringify(base.draft)
  const newer = newest.version !== base.version
  useEffect(() => {
    if (newer && !dirty) {
      setBase(newest)
      write(null)
    }
  }, [newer, dirty, newest])
  return {
    /** The version that saving expects. */
    version: base.version,
    draft: written ?? base.draft,
    theirs: newest.draft,
    dirty,
    conflict: newer && dirty,
    write,
    discard: () => write(null),
    takeTheirs: () => {
      setBase(newest)
      write(null)
    },
    keepMine: () => setBase(newest),
  }
}
