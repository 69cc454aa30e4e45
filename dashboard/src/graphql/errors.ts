/** What the server refused, in its own words. */
export class ApiError extends Error {
  readonly code: string
  /** What would mend it. */
  readonly mend: string | undefined
  /** The input that was wrong. */
  readonly field: string | undefined

  constructor(code: string, message: string, mend?: string, field?: string) {
    super(message)
    this.name = 'ApiError'
    this.code = code
    this.mend = mend
    this.field = field
  }
}

/** The server could not be reached, or answered something that is not an answer. */
export class Unreachable extends Error {
  constructor(
    message = 'Runyard cannot be reached. Nothing was changed; try again when the connection is back.',
  ) {
    super(message)
    this.name = 'Unreachable'
  }
}

interface RawError {
  message?: string
  extensions?: { code?: string; mend?: string; field?: string }
}

export function fromGraphQL(errors: readonly RawError[]): ApiError {
  const [first] = errors
  const extensions = first?.extensions ?? {}
  return new ApiError(
    extensions.code ?? 'INTERNAL',
    first?.message ?? 'The server refused without saying why.',
    extensions.mend,
    extensions.field,
  )
}

/** The server's words are parts of sentences, as the command line shows them; here each stands as one. */
function sentence(text: string): string {
  const whole = /^[a-z]+[\s,.:;]/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text
  return /[\p{L}\p{N}`)\]"]$/u.test(whole) ? `${whole}.` : whole
}

/** What is wrong, and the mend when there is one. */
export function words(error: unknown): string {
  if (error instanceof ApiError)
    return error.mend ? `${sentence(error.message)} ${sentence(error.mend)}` : sentence(error.message)
  if (error instanceof Error) return error.message
  return String(error)
}

export const isSignedOut = (error: unknown): boolean =>
  error instanceof ApiError && error.code === 'UNAUTHENTICATED'
