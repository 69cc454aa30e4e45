import { useId, useState } from 'react'
import { words } from '../../graphql/errors'
import { Ago, Button } from '../../ui/controls'
import { Markdown } from '../../ui/Markdown'
import { State, WAITS } from '../../ui/State'
import { Text } from '../../ui/Text'
import { useAct } from './actions'
import { nameOf, useSession } from './context'
import type { AskEntry } from './conversation'
import type { Answer, Ask, Choice, Question } from './events'
import { ToolInput } from './ToolLine'

const TITLES = { question: 'Question', permission: 'Permission', publish: 'Publish' } as const

/** Something that waits for a person, answered where it stands; afterwards, what was answered and by whom. */
export function AskCard({ entry }: { entry: AskEntry }) {
  const { session, actions } = useSession()
  const act = useAct(session.number, true)
  const { ask, answered, request } = entry
  // The log is one step ahead of the session's state at times; either may say that it is over.
  const open = answered === undefined && session.openRequests.some((each) => each.id === request)
  const title = `${TITLES[ask.kind]}${open ? ' for you' : ''}`
  const answer = (given: Answer) => act.mutate(() => actions.answer(request, given))
  return (
    <section className={`ask-card ${open ? 'open' : ''}`} aria-label={title}>
      <header>
        <strong>
          {open ? <State look={WAITS} silent /> : null}
          {title}
        </strong>
        <Ago at={entry.at} className="small" />
      </header>
      <AskBody ask={ask} open={open} busy={act.isPending} answer={answer} />
      {act.error ? (
        <p className="problem" role="alert">
          {words(act.error)}
        </p>
      ) : null}
      {answered ? <Answered entry={entry} /> : null}
    </section>
  )
}

interface BodyProps {
  ask: Ask
  open: boolean
  busy: boolean
  answer: (given: Answer) => void
}

function AskBody({ ask, open, busy, answer }: BodyProps) {
  if (ask.kind === 'question')
    return <Questions questions={ask.questions} open={open} busy={busy} answer={answer} />
  if (ask.kind === 'publish') return <Publish options={ask.options} open={open} busy={busy} answer={answer} />
  return <Permission ask={ask} open={open} busy={busy} answer={answer} />
}

function Permission({ ask, open, busy, answer }: BodyProps & { ask: Ask & { kind: 'permission' } }) {
  const [denying, setDenying] = useState(false)
  const [reason, setReason] = useState('')
  return (
    <>
      <p>
        The agent wants to call{' '}
        <code>
          <Text>{ask.tool}</Text>
        </code>
        . <Text>{ask.reason}</Text>
      </p>
      <ToolInput input={ask.input} />
      {open ? (
        denying ? (
          <form
            className="stack"
            onSubmit={(event) => {
              event.preventDefault()
              answer({ answer: 'deny', reason })
            }}
          >
            <input
              className="input"
              aria-label="Why not"
              placeholder="Why not, or what to do instead (the agent reads it)"
              value={reason}
              // biome-ignore lint/a11y/noAutofocus: the person has just asked for this field
              autoFocus
              onChange={(event) => setReason(event.target.value)}
            />
            <div className="actions">
              <Button onClick={() => setDenying(false)}>Back</Button>
              <Button type="submit" look="danger" disabled={busy}>
                Deny
              </Button>
            </div>
          </form>
        ) : (
          <div className="actions">
            <Button look="danger" disabled={busy} onClick={() => setDenying(true)}>
              Deny …
            </Button>
            <Button look="wait" disabled={busy} onClick={() => answer({ answer: 'allow' })}>
              Allow once
            </Button>
          </div>
        )
      ) : null}
    </>
  )
}

const PUBLISH_WORDS: Record<string, string> = {
  stacked_pr: 'Stack a pull request',
  same_branch: 'Same branch',
  new_branch: 'New branch',
  create_pr: 'Open a pull request',
  dismiss: 'Not now',
  cancel: 'Cancel',
}

/** A label may be the name of something that every object has. */
const publishWords = (label: string): string =>
  (Object.hasOwn(PUBLISH_WORDS, label) ? PUBLISH_WORDS[label] : undefined) ?? label

function Publish({ options, open, busy, answer }: Omit<BodyProps, 'ask'> & { options: Choice[] }) {
  return (
    <>
      <p>What becomes of the work so far?</p>
      <ul className="choices">
        {options.map((option) => (
          <li key={option.label} className="row">
            <span className="grow">
              <strong>
                <Text>{publishWords(option.label)}</Text>
              </strong>{' '}
              <span className="muted">
                <Text>{option.description ?? ''}</Text>
              </span>
            </span>
            {open ? (
              <Button
                look="small"
                disabled={busy}
                onClick={() => answer({ answer: 'chosen', option: option.label })}
              >
                Choose
              </Button>
            ) : null}
          </li>
        ))}
      </ul>
    </>
  )
}

function Questions({ questions, open, busy, answer }: Omit<BodyProps, 'ask'> & { questions: Question[] }) {
  const [given, setGiven] = useState<ReadonlyMap<string, string>>(new Map())
  const complete = questions.every((each) => (given.get(each.question) ?? '').trim() !== '')
  if (!open)
    return questions.map((each) => (
      <div key={each.question}>
        <Markdown>{each.question}</Markdown>
      </div>
    ))
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault()
        if (complete) answer({ answer: 'answers', answers: Object.fromEntries(given) })
      }}
    >
      {questions.map((each) => (
        <OneQuestion
          key={each.question}
          question={each}
          value={given.get(each.question) ?? ''}
          onChange={(value) => setGiven((before) => new Map(before).set(each.question, value))}
        />
      ))}
      <div className="actions">
        <Button type="submit" look="wait" disabled={busy || !complete}>
          Answer
        </Button>
      </div>
    </form>
  )
}

function OneQuestion({
  question,
  value,
  onChange,
}: {
  question: Question
  value: string
  onChange: (value: string) => void
}) {
  const id = useId()
  const options = question.options ?? []
  const [own, setOwn] = useState('')
  const [picked, setPicked] = useState<readonly string[]>([])
  const pick = (label: string) => {
    const next = question.multi_select
      ? picked.includes(label)
        ? picked.filter((each) => each !== label)
        : [...picked, label]
      : [label]
    setPicked(next)
    setOwn('')
    onChange(next.join(', '))
  }
  return (
    <fieldset className="question" aria-labelledby={id}>
      <div id={id} className="question-text">
        <Markdown>{question.question}</Markdown>
      </div>
      {options.map((option) => (
        <label key={option.label}>
          <input
            type={question.multi_select ? 'checkbox' : 'radio'}
            name={id}
            checked={picked.includes(option.label)}
            onChange={() => pick(option.label)}
          />
          <span>
            <Text>{option.label}</Text>{' '}
            <span className="muted">
              <Text>{option.description ?? ''}</Text>
            </span>
          </span>
        </label>
      ))}
      <input
        className="input"
        aria-label={options.length > 0 ? 'Another answer' : 'Your answer'}
        placeholder={options.length > 0 ? 'or in your own words' : 'Your answer'}
        value={own}
        onChange={(event) => {
          setOwn(event.target.value)
          setPicked([])
          onChange(event.target.value)
        }}
      />
      {/* Screen readers hear what will be sent when it is not one of the options. */}
      <span className="visually-hidden">{value ? `Chosen: ${value}` : ''}</span>
    </fieldset>
  )
}

function Answered({ entry }: { entry: AskEntry }) {
  const context = useSession()
  const { answered } = entry
  if (!answered) return null
  const { answer } = answered
  if (!answer) return <p className="answered muted">No longer needed: the run ended.</p>
  const who = nameOf(answered.from, context)
  return (
    <div className="answered">
      <span aria-hidden="true">✓ </span>
      <strong>{who}</strong>{' '}
      {answer.answer === 'allow' ? (
        'allowed it once'
      ) : answer.answer === 'deny' ? (
        <>
          denied it{answer.reason ? ': ' : ''}
          <Text>{answer.reason}</Text>
        </>
      ) : answer.answer === 'chosen' ? (
        <>
          chose “<Text>{publishWords(answer.option)}</Text>”
        </>
      ) : (
        <>
          answered <Text>{Object.values(answer.answers).join('; ')}</Text>
        </>
      )}
    </div>
  )
}
