import { useNavigate } from '@tanstack/react-router'
import {
  Archive,
  BookOpen,
  Copy,
  CopyPlus,
  Download,
  Ellipsis,
  Pencil,
  Play,
  RotateCcw,
  Square,
  Wallet,
} from 'lucide-react'
import { useState } from 'react'
import { Button, Dialog, Menu, MenuItem, TextField } from '../../ui/controls'
import { clock, count, duration, money } from '../../ui/format'
import { useNow } from '../../ui/hooks'
import { phaseLook, State } from '../../ui/State'
import { Text } from '../../ui/Text'
import { say, sayError } from '../../ui/toast'
import { useAct } from './actions'
import { useSession } from './context'
import { Here } from './Here'
import { KnowledgeDialog } from './Knowledge'
import { SessionLink } from './SessionLink'

const PR_MODES = { STACKED_PR: 'stacked PRs', SINGLE_PR: 'one PR', MANUAL: 'PRs by hand' } as const
const BUSY = new Set(['PLANNING', 'EXECUTING', 'WORKING', 'WAITING', 'QUEUED'])

export function Header() {
  const { session, actions } = useSession()
  const navigate = useNavigate({ from: '/r/$number' })
  const act = useAct(session.number)
  const [budget, setBudget] = useState(false)
  const [knowledge, setKnowledge] = useState(false)
  const [rename, setRename] = useState(false)
  const look = phaseLook(session.phase)
  const leaves = session.steps.filter((step) => step.leaf)
  const done = leaves.filter((step) => step.state === 'COMPLETED').length
  const failed = session.phase.kind === 'FAILED' || session.phase.kind === 'PLAN_FAILED'
  const share = () =>
    navigator.clipboard
      .writeText(`${window.location.origin}/r/${session.number}`)
      .then(() => say('The link is copied. It opens for people of your account.'), sayError)
  // The answer is a file: the page stays.
  const download = (ending: 'md' | 'json') =>
    window.location.assign(`/sessions/${session.number}/session.${ending}`)
  return (
    <header className="session-head">
      <div className="grow">
        <h1 className="clip">
          <span className="muted">r/{session.number}</span> <Text>{session.title}</Text>
        </h1>
        <p className="facts">
          <span className={`phase ${look.tone}`}>
            <State look={look} silent /> {look.words}
            <Elapsed />
          </span>
          {leaves.length > 0 ? (
            <SessionLink to={{ tab: 'steps' }}>
              {done}/{leaves.length} steps
            </SessionLink>
          ) : null}
          <SessionLink
            to={{ tab: 'log' }}
            title={`${count(session.usage.input + session.usage.cacheRead + session.usage.cacheWrite)} tokens read, ${count(session.usage.output)} written`}
          >
            {money(session.usage.cost)}
            {session.budget.cost !== null ? (
              <span className="muted"> of {money(session.budget.cost)}</span>
            ) : null}
          </SessionLink>
          <SessionLink to={{ tab: 'log' }} title="Time at work">
            {duration(session.worked)}
          </SessionLink>
          <span className="mono where">
            <Text>{`${session.repository} ⟵ ${session.targetBranch}`}</Text>
          </span>
          <span className="extra">{PR_MODES[session.prMode]}</span>
          {session.persona ? (
            <span className="extra">
              <Text>{session.persona.title}</Text>
            </span>
          ) : null}
          {session.mode === 'ONE_SHOT' ? <span className="extra">one shot</span> : null}
          {session.sandbox ? <span className="extra">sandbox {session.sandbox.toLowerCase()}</span> : null}
          {session.archived ? <span className="badge">archived</span> : null}
        </p>
      </div>
      <Here />
      <div className="row head-actions">
        {BUSY.has(session.phase.kind) ? (
          <Button disabled={act.isPending} onClick={() => act.mutate(() => actions.stop())}>
            <Square size={13} fill="currentColor" /> Stop
          </Button>
        ) : null}
        {failed ? (
          <Button look="primary" disabled={act.isPending} onClick={() => act.mutate(() => actions.retry())}>
            <RotateCcw size={14} /> Retry
          </Button>
        ) : null}
        {session.phase.kind === 'PLANNED' ? (
          <Button
            look="primary"
            disabled={act.isPending}
            onClick={() => act.mutate(() => actions.execute(null, true))}
          >
            <Play size={13} fill="currentColor" /> Execute all
          </Button>
        ) : null}
        <Menu label="More" trigger={<Ellipsis size={16} />}>
          <MenuItem onClick={() => void share()}>
            <Copy size={14} /> Copy link
          </MenuItem>
          <MenuItem onClick={() => setRename(true)}>
            <Pencil size={14} /> Rename
          </MenuItem>
          <MenuItem
            disabled={session.steps.length === 0}
            onClick={() =>
              act.mutate(async () => {
                const { session: copy, warnings } = await actions.clone()
                for (const warning of warnings) say(warning)
                await navigate({ to: '/r/$number', params: { number: copy.number } })
              })
            }
          >
            <CopyPlus size={14} /> Clone with its plan
          </MenuItem>
          <MenuItem onClick={() => download('md')}>
            <Download size={14} /> Export as Markdown
          </MenuItem>
          <MenuItem onClick={() => download('json')}>
            <Download size={14} /> Export as JSON
          </MenuItem>
          <MenuItem onClick={() => setBudget(true)}>
            <Wallet size={14} /> Budget
          </MenuItem>
          <MenuItem onClick={() => setKnowledge(true)}>
            <BookOpen size={14} /> What the agent is told
          </MenuItem>
          <hr />
          <MenuItem
            onClick={() =>
              act.mutate(async () => {
                await actions.archive(!session.archived)
                if (!session.archived) await navigate({ to: '/' })
              })
            }
          >
            <Archive size={14} /> {session.archived ? 'Take out of the archive' : 'Archive'}
          </MenuItem>
        </Menu>
      </div>
      {knowledge ? <KnowledgeDialog onClose={() => setKnowledge(false)} /> : null}
      {rename ? <RenameDialog onClose={() => setRename(false)} /> : null}
      {budget ? <BudgetDialog onClose={() => setBudget(false)} /> : null}
    </header>
  )
}

/** How long the run that works now has been at it. */
function Elapsed() {
  const { session } = useSession()
  const run = session.runs.findLast((each) => each.state === 'RUNNING')
  const now = useNow(1_000)
  if (!run) return null
  const seconds = (now - Date.parse(run.startedAt)) / 1_000
  return (
    <span className="numbers" title={`since ${clock(run.startedAt)}`}>
      {' '}
      · {duration(seconds)}
    </span>
  )
}

function RenameDialog({ onClose }: { onClose: () => void }) {
  const { session, actions } = useSession()
  const act = useAct(session.number)
  const [title, setTitle] = useState(session.title)
  return (
    <Dialog title="Rename" onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          act.mutate(() => actions.rename(title), { onSuccess: onClose })
        }}
      >
        <TextField label="Title" maxLength={200} value={title} onValue={setTitle} />
        <div className="actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={title.trim() === '' || act.isPending}>
            Rename
          </Button>
        </div>
      </form>
    </Dialog>
  )
}

function BudgetDialog({ onClose }: { onClose: () => void }) {
  const { session, actions } = useSession()
  const act = useAct(session.number)
  const [whole, setWhole] = useState(String(session.budget.cost ?? ''))
  const [run, setRun] = useState(String(session.runBudget.cost ?? ''))
  const amount = (text: string) => (text.trim() === '' ? null : Number(text))
  return (
    <Dialog title="Budget" onClose={onClose}>
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault()
          const { tokens, seconds } = session.budget
          const each = { tokens: session.runBudget.tokens, seconds: session.runBudget.seconds }
          act.mutate(
            () => actions.setBudget({ tokens, seconds, cost: amount(whole) }, { ...each, cost: amount(run) }),
            { onSuccess: onClose },
          )
        }}
      >
        <p className="muted">
          {money(session.usage.cost)} was used. When a budget is used up, the step stops and keeps what it
          did.
        </p>
        <TextField
          label="Whole session, in dollars"
          hint="Empty: no limit"
          type="number"
          min="0"
          step="0.01"
          value={whole}
          onValue={setWhole}
        />
        <TextField
          label="Each run, in dollars"
          hint="Empty: no limit"
          type="number"
          min="0"
          step="0.01"
          value={run}
          onValue={setRun}
        />
        <div className="actions">
          <Button onClick={onClose}>Cancel</Button>
          <Button type="submit" look="primary" disabled={act.isPending}>
            Set budget
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
