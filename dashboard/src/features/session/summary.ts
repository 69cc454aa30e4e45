import { ansi } from '../../ui/ansi'
import { marked } from '../../ui/safe-text'
import type { LogEvent } from './events'

/** One line that says what an event is; the rest is a click away. */
export function summary(event: LogEvent): string {
  const { type: _, ...rest } = (event.payload ?? {}) as Record<string, unknown>
  const told = [
    'number',
    'state',
    'reason',
    'why',
    'title',
    'name',
    'text',
    'delta',
    'tool',
    'message',
    'detail',
    'version',
    'output',
  ]
  const words = told
    .map((key) => rest[key])
    .filter((value) => typeof value === 'string' || typeof value === 'number')
  const line = words.length > 0 ? words.join(' · ') : JSON.stringify(rest)
  return marked(
    ansi(line.slice(0, 300))
      .map((span) => span.text)
      .join(''),
  ).replaceAll('\n', ' ⏎ ')
}
