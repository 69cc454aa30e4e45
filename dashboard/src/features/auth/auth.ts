import { OWN_PAGE } from '../../graphql/client'
import { ApiError, Unreachable } from '../../graphql/errors'

async function call<T>(path: string, body?: object): Promise<T> {
  let response: Response
  try {
    response = await fetch(
      path,
      body === undefined
        ? {}
        : {
            method: 'POST',
            headers: { 'Content-Type': 'application/json', ...OWN_PAGE },
            body: JSON.stringify(body),
          },
    )
  } catch {
    throw new Unreachable()
  }
  if (response.status === 204) return undefined as T
  const answer = await response.json().catch(() => ({}))
  if (response.ok) return answer as T
  const wait = Number(response.headers.get('Retry-After'))
  const mend =
    response.status === 429 && wait > 0
      ? `Try again in ${wait} ${wait === 1 ? 'second' : 'seconds'}.`
      : undefined
  throw new ApiError(
    answer.error ?? 'internal',
    answer.message ?? `Runyard answered with status ${response.status}.`,
    mend,
    answer.field,
  )
}

export interface Invited {
  purpose: 'first_admin' | 'invitation' | 'password_reset'
  email: string
  role: string
  expiresAt: string
}

/** What a page needs to know before anybody is signed in. */
export interface Situation {
  signedIn: boolean
  firstAdmin: boolean
  /** Whether a password lets somebody in. */
  password: boolean
  /** What the provider is called that lets people in. */
  provider: string | null
}

export const authState = () => call<Situation>('/auth/state')
/** Where to go to sign in at the provider. */
export const startAtProvider = (next: string) => call<{ url: string }>('/auth/oidc', { next })
export const signIn = (email: string, password: string) => call<void>('/auth/sign-in', { email, password })
export const signOut = () => call<void>('/auth/sign-out', {})
export const readLink = (token: string) => call<Invited>(`/auth/link/${encodeURIComponent(token)}`)
export const acceptLink = (token: string, body: { name?: string; email?: string; password: string }) =>
  call<void>(`/auth/link/${encodeURIComponent(token)}`, body)
