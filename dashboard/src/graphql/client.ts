import { print } from '@0no-co/graphql.web'
import type { TadaDocumentNode } from 'gql.tada'
import { ApiError, fromGraphQL, Unreachable } from './errors'

/** A header that a form or an image of another site cannot send: the server wants it on everything that changes. */
export const OWN_PAGE = { 'X-Runyard': '1' }

type Document<Result, Variables> = TadaDocumentNode<Result, Variables, unknown>

const printed = new WeakMap<object, string>()

export function textOf(document: Document<unknown, never>): string {
  let text = printed.get(document)
  if (text === undefined) {
    text = print(document as never)
    printed.set(document, text)
  }
  return text
}

export async function request<Result, Variables>(
  document: Document<Result, Variables>,
  ...[variables]: Record<string, never> extends Variables ? [Variables?] : [Variables]
): Promise<Result> {
  let response: Response
  try {
    response = await fetch('/graphql', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...OWN_PAGE },
      body: JSON.stringify({ query: textOf(document), variables: variables ?? {} }),
    })
  } catch {
    throw new Unreachable()
  }
  if (response.status === 401) throw new ApiError('UNAUTHENTICATED', 'You are signed out.')
  let body: { data?: Result | null; errors?: Parameters<typeof fromGraphQL>[0] }
  try {
    body = await response.json()
  } catch {
    throw new Unreachable(`Runyard answered with status ${response.status} and nothing readable.`)
  }
  if (body.errors?.length) throw fromGraphQL(body.errors)
  if (body.data == null) throw new Unreachable('Runyard answered without data.')
  return body.data
}
