/** Why nobody came in from the provider, and what to do next; the words are the server's. */
const REFUSED: Record<string, [why: string, next: string]> = {
  expired: [
    'This sign-in has expired.',
    'Each works once, for ten minutes, in the browser that began it. Begin again.',
  ],
  denied: ['The provider did not let you in.', 'Begin again, and agree when it asks.'],
  unreachable: [
    'The provider cannot be reached.',
    'Try again in a minute. If it stays like this, tell an admin.',
  ],
  provider: [
    'The provider and this server do not understand each other.',
    'Tell an admin: the log of the server says why.',
  ],
  untrusted: [
    'What the provider said of you cannot be relied on.',
    'Begin again. If it stays like this, tell an admin: the log of the server says why.',
  ],
  unverified: [
    'The provider does not say that your mail address is yours.',
    'Have it verified there, then begin again.',
  ],
  uninvited: [
    'You are not invited yet.',
    'Ask an admin to invite the mail address that you have at the provider, then begin again.',
  ],
  taken: [
    'Somebody is here already with your mail address.',
    'If that is you, sign in as before. An admin can let the provider’s word be enough (oidc.link_existing).',
  ],
  'sent-away': ['You were sent away from here.', 'If that is a mistake, ask an admin to let you in again.'],
  'too-many': ['There were too many attempts.', 'Wait a minute, then begin again.'],
  unavailable: ['Runyard cannot look you up at the moment.', 'Try again in a minute.'],
}

/** A sentence on what happened and one on what to do; none for a word that the server does not use. */
export const refusal = (word: string | undefined): readonly [string, string] | undefined =>
  word !== undefined && Object.hasOwn(REFUSED, word) ? REFUSED[word] : undefined
