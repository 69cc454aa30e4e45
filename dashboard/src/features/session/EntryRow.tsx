import { memo, type ReactNode } from 'react'
import { Button } from '../../ui/controls'
import { Frame } from '../../ui/Frame'
import { clock, exact, milliseconds, plural } from '../../ui/format'
import { Markdown } from '../../ui/Markdown'
import { actionWords, changeLook, type Look, State, stepLook } from '../../ui/State'
import { Output, Text } from '../../ui/Text'
import { AskCard } from './AskCard'
import { useAct } from './actions'
import { agentName, nameOf, useSession } from './context'
import type { CheckEntry, Conversation, Entry, MessageEntry, Row, RunEntry } from './conversation'
import type { Known } from './events'
import { KnowledgeLink, momentOf } from './Knowledge'
import { OutputPart } from './OutputPart'
import { useOpened } from './opened'
import { SessionLink } from './SessionLink'
import { Reads, ToolLine } from './ToolLine'

interface Props {
  row: Row
  /** True when the row before has the same author: the name is not said again. */
  follows: boolean
  runs: Conversation['runs']
  marked: boolean
}

export const EntryRow = memo(function EntryRow({ row, follows, runs, marked }: Props) {
  const entry = row.kind === 'reads' ? row.tools[0] : row.entry
  if (!entry) return null
  const by = row.kind === 'reads' || entry.kind === 'tool' || entry.kind === 'message'
  return (
    <article
      id={`e${row.key}`}
      className={`entry ${by && !follows ? 'begins' : ''} ${marked ? 'marked' : ''}`}
    >
      {by && !follows ? <Byline entry={entry} runs={runs} /> : null}
      {row.kind === 'reads' ? <Reads tools={row.tools} /> : <Body entry={row.entry} />}
    </article>
  )
})

function Byline({ entry, runs }: { entry: Entry; runs: Conversation['runs'] }) {
  const context = useSession()
  const from = entry.kind === 'message' ? entry.from : ({ who: 'agent' } as const)
  const run = entry.kind === 'message' || entry.kind === 'tool' ? entry.run : null
  const name = from.who === 'agent' ? agentName(run, { runs }, context.session) : nameOf(from, context)
  return (
    <header className="byline">
      <strong className={from.who}>{name}</strong>
      <EntryLink entry={entry} />
    </header>
  )
}

/** The time, which is the entry's own address as well. */
function EntryLink({ entry }: { entry: Pick<Entry, 'number' | 'at'> }) {
  return (
    <SessionLink to={{ at: entry.number }} className="when" title={exact(entry.at)}>
      {clock(entry.at)}
    </SessionLink>
  )
}

function Body({ entry }: { entry: Entry }) {
  switch (entry.kind) {
    case 'message':
      return <Message entry={entry} />
    case 'tool':
      return <ToolLine tool={entry} />
    case 'ask':
      return <AskCard entry={entry} />
    case 'plan':
      return (
        <Line look={{ glyph: '§', tone: 'done', words: 'plan' }} entry={entry}>
          <SessionLink to={{ tab: 'markdown' }}>Version {entry.version}</SessionLink> of the runbook
          {entry.restores ? ` brings back version ${entry.restores}` : ''}: {plural(entry.topLevel, 'step')},{' '}
          {plural(entry.leaves, 'part')} to execute
          <By from={entry.from} />
        </Line>
      )
    case 'step':
      return (
        <Line look={stepLook(entry.state, entry.reason)} entry={entry}>
          <span className="step-name">
            <Text>{withoutTags(entry.title)}</Text>
          </span>{' '}
          <span className="muted">{stepLook(entry.state, entry.reason).words}</span>
        </Line>
      )
    case 'run':
      return <Failed entry={entry} />
    case 'check':
      return <Check entry={entry} />
    case 'change':
      return (
        <Line look={changeLook(entry.state)} entry={entry}>
          {entry.pullRequest ? (
            <SessionLink to={{ tab: 'changes', change: entry.pullRequest ?? undefined }}>
              #{entry.pullRequest}
            </SessionLink>
          ) : (
            <code>
              <Text>{entry.branch}</Text>
            </code>
          )}{' '}
          <Text>{entry.title}</Text> <span className="muted">{changeLook(entry.state).words}</span>
        </Line>
      )
    case 'knowledge':
      return (
        <Line look={entry.leftOut.length > 0 ? NOTE_LOOKS.warning : NOTE_LOOKS.info} entry={entry}>
          The agent is told <Names known={entry.used} />
          {entry.leftOut.length > 0 ? (
            <>
              ; there was no room for <Names known={entry.leftOut} />
            </>
          ) : null}
        </Line>
      )
    case 'learned':
      return (
        <Line look={NOTE_LOOKS.info} entry={entry}>
          Learned{momentOf(entry.moment)}: <Names known={entry.learned} />
        </Line>
      )
    case 'note':
      return (
        <Line look={NOTE_LOOKS[entry.level]} entry={entry}>
          <Text>{entry.text}</Text>
        </Line>
      )
    case 'unknown':
      return (
        <Line look={{ glyph: '·', tone: '', words: 'other' }} entry={entry}>
          <span className="muted">
            Something that this page does not know yet: <Text>{entry.type}</Text>. Reload for a newer page.
          </span>
        </Line>
      )
  }
}

function Names({ known }: { known: readonly Known[] }) {
  return known.map((each, index) => (
    <span key={each.id}>
      {index > 0 ? ', ' : ''}
      <KnowledgeLink kind={each.kind} id={each.id} title={each.title} />
    </span>
  ))
}

/** So many bytes of a check's end are shown before one asks for more. */
const SHOWN_END = 4_096

function Check({ entry }: { entry: CheckEntry }) {
  const [open, setOpen] = useOpened(entry.number)
  return (
    <details className="tool" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <State look={entry.exitCode === 0 ? stepLook('COMPLETED') : stepLook('FAILED')} />
        <span className="verb">Check</span>
        <span className="object">
          <Text>{entry.name}</Text>
        </span>
        <span className="result">
          <Text>{entry.killed ?? (entry.exitCode === 0 ? 'passed' : `exit code ${entry.exitCode}`)}</Text> ·{' '}
          {milliseconds(entry.durationMs)}
        </span>
      </summary>
      {open ? (
        <>
          <Frame label="Command">
            <Text>{entry.command}</Text>
          </Frame>
          {entry.written ? (
            <OutputPart exec={entry.written.exec} from={Math.max(0, entry.written.to - SHOWN_END)} />
          ) : entry.tail ? (
            <Frame label="End of the output">
              <Output>{entry.tail}</Output>
            </Frame>
          ) : null}
        </>
      ) : null}
    </details>
  )
}

/** `1.1 List` of `1.1 [NO-CODE-CHANGE] List`: the steps show the tags. */
const withoutTags = (title: string): string => title.replace(/\[[A-Z-]+\]\s*/g, '')

const NOTE_LOOKS: Record<'info' | 'warning' | 'error', Look> = {
  info: { glyph: 'i', tone: '', words: 'note' },
  warning: { glyph: '!', tone: 'wait', words: 'warning' },
  error: { glyph: '✗', tone: 'failed', words: 'error' },
}

function Line({ look, entry, children }: { look: Look; entry: Entry; children: ReactNode }) {
  return (
    <p className="fact">
      <State look={look} />
      <span className="grow">{children}</span>
      <EntryLink entry={entry} />
    </p>
  )
}

function By({ from }: { from: MessageEntry['from'] }) {
  const context = useSession()
  return from.who === 'person' ? <span className="muted">, by {nameOf(from, context)}</span> : null
}

function Message({ entry }: { entry: MessageEntry }) {
  if (entry.from.who === 'person')
    return (
      <div className="said">
        <Markdown>{entry.text}</Markdown>
      </div>
    )
  return (
    <div className={entry.streaming ? 'streaming' : undefined} aria-busy={entry.streaming}>
      <Markdown>{entry.text}</Markdown>
    </div>
  )
}

/** What happened, what was kept, what to do next. */
function Failed({ entry }: { entry: RunEntry }) {
  const { session, actions } = useSession()
  const act = useAct(session.number)
  // Only what failed last can be retried.
  const newest = session.runs.at(-1)?.id === entry.run
  const canRetry = newest && (session.phase.kind === 'FAILED' || session.phase.kind === 'PLAN_FAILED')
  const stopped = entry.state === 'stopped'
  return (
    <div className={`callout ${stopped ? '' : 'bad'}`}>
      <State look={stepLook('FAILED', stopped ? 'STOPPED' : undefined)} />
      <div className="grow">
        <strong>
          {stopped ? 'Stopped' : 'Failed'} while {actionWords(entry.actionKind)}
        </strong>
        {entry.message ? (
          <p>
            <Text>{entry.message}</Text>
          </p>
        ) : null}
      </div>
      {canRetry ? (
        <Button look="small" disabled={act.isPending} onClick={() => act.mutate(() => actions.retry())}>
          Retry
        </Button>
      ) : null}
    </div>
  )
}
