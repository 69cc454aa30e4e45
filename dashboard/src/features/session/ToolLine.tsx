import { memo } from 'react'
import { Frame } from '../../ui/Frame'
import { milliseconds, plural } from '../../ui/format'
import { type Look, State } from '../../ui/State'
import { Output, Text } from '../../ui/Text'
import type { ToolEntry } from './conversation'
import type { ToolKind } from './events'
import { useOpened } from './opened'

const VERBS: Record<ToolKind, [string, string]> = {
  read: ['Read', 'Reading'],
  edit: ['Edited', 'Editing'],
  delete: ['Removed', 'Removing'],
  move: ['Moved', 'Moving'],
  search: ['Searched', 'Searching'],
  execute: ['Ran', 'Running'],
  think: ['Thought', 'Thinking'],
  fetch: ['Fetched', 'Fetching'],
  other: ['Called', 'Calling'],
}

const LOOKS: Record<ToolEntry['state'], Look> = {
  running: { glyph: '◐', tone: 'running', words: 'running' },
  ok: { glyph: '✓', tone: '', words: 'done' },
  failed: { glyph: '✗', tone: 'failed', words: 'failed' },
  lost: { glyph: '■', tone: '', words: 'ended with its run' },
}

function took(tool: ToolEntry): string {
  if (!tool.finishedAt) return ''
  const ms = Date.parse(tool.finishedAt) - Date.parse(tool.at)
  return ms < 100 ? '' : milliseconds(ms)
}

/** One line: verb, object, result, time. Opened: what went in and what came out. */
export const ToolLine = memo(function ToolLine({ tool }: { tool: ToolEntry }) {
  const [open, setOpen] = useOpened(tool.number)
  const [past, present] = VERBS[tool.toolKind] ?? VERBS.other
  const result = [
    tool.state === 'failed' ? 'failed' : tool.state === 'lost' ? 'not finished' : '',
    took(tool),
  ]
  return (
    <details className="tool" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <State look={LOOKS[tool.state]} />
        <span className="verb">{tool.state === 'running' ? present : past}</span>
        <span className="object">
          <Text>{tool.title || tool.tool}</Text>
        </span>
        <span className="result">{result.filter(Boolean).join(' · ')}</span>
      </summary>
      {/* Laid out only when it is looked at: a session has thousands of these. */}
      {open ? (
        <>
          <ToolInput input={tool.input} />
          {tool.output ? (
            <Frame label="Output">
              <Output>{tool.output}</Output>
            </Frame>
          ) : null}
        </>
      ) : null}
    </details>
  )
})

/** Neighbouring reads and searches as one line. */
export function Reads({ tools }: { tools: readonly ToolEntry[] }) {
  // A number of its own beside the first call's, which opens by itself.
  const [open, setOpen] = useOpened(-(tools[0]?.number ?? 0))
  const reads = tools.filter((tool) => tool.toolKind === 'read').length
  const searches = tools.filter((tool) => tool.toolKind === 'search').length
  const thoughts = tools.length - reads - searches
  const running = tools.findLast((tool) => tool.state === 'running')
  const words = [
    reads > 0 ? `read ${plural(reads, 'file')}` : '',
    searches > 0 ? `searched ${searches === 1 ? 'once' : `${searches} times`}` : '',
    thoughts > 0 ? `thought ${thoughts === 1 ? 'once' : `${thoughts} times`}` : '',
  ]
  const text = words.filter(Boolean).join(', ')
  return (
    <details className="tool" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <State look={running ? LOOKS.running : LOOKS.ok} />
        <span className="verb">{text.charAt(0).toUpperCase() + text.slice(1)}</span>
        <span className="object">{running ? <Text>{running.title}</Text> : null}</span>
      </summary>
      {open ? (
        <div className="folded">
          {tools.map((tool) => (
            <ToolLine key={tool.number} tool={tool} />
          ))}
        </div>
      ) : null}
    </details>
  )
}

interface Fields {
  command?: unknown
  description?: unknown
  old_string?: unknown
  new_string?: unknown
  content?: unknown
}

/** What a tool is called with: commands and edits as such, anything else as JSON. */
export function ToolInput({ input }: { input: unknown }) {
  const fields: Fields = typeof input === 'object' && input !== null ? input : {}
  if (typeof fields.command === 'string')
    return (
      <>
        {typeof fields.description === 'string' ? (
          <p className="muted small">
            <Text>{fields.description}</Text>
          </p>
        ) : null}
        <Frame label="Command" look="command">
          <Text>{fields.command}</Text>
        </Frame>
      </>
    )
  if (typeof fields.new_string === 'string' || typeof fields.content === 'string')
    return (
      <Frame label="Edit" look="edit">
        {typeof fields.old_string === 'string' && fields.old_string !== '' ? (
          <span className="removed">
            <Text>{prefixed(fields.old_string, '−')}</Text>
          </span>
        ) : null}
        <span className="added">
          <Text>{prefixed(String(fields.new_string ?? fields.content), '+')}</Text>
        </span>
      </Frame>
    )
  if (input === null || input === undefined || Object.keys(fields).length === 0) return null
  return (
    <Frame label="Input">
      <Text>{JSON.stringify(input, null, 2)}</Text>
    </Frame>
  )
}

const prefixed = (text: string, sign: string): string =>
  text
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => `${sign} ${line}\n`)
    .join('')
