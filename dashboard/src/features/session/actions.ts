import { useMutation, useQueryClient } from '@tanstack/react-query'
import { request } from '../../graphql/client'
import { graphql, type VariablesOf } from '../../graphql/graphql'
import { say } from '../../ui/toast'
import type { Answer } from './events'
import { sessionKey } from './queries'

const SEND = graphql(`
  mutation Send($session: Int!, $text: String!) { sendMessage(session: $session, text: $text) { queued } }
`)
const EXECUTE = graphql(`
  mutation Execute($session: Int!, $step: String, $all: Boolean!) {
    execute(session: $session, step: $step, all: $all) { queued }
  }
`)
const STOP = graphql(`
  mutation Stop($session: Int!) { stop(session: $session) { running removed } }
`)
const RETRY = graphql(`
  mutation Retry($session: Int!, $message: String) { retry(session: $session, message: $message) { queued } }
`)
const ANSWER = graphql(`
  mutation Answer($session: Int!, $request: ID!, $answer: AnswerInput!) {
    answer(session: $session, request: $request, answer: $answer) { number }
  }
`)
const EDIT_RUNBOOK = graphql(`
  mutation EditRunbook($session: Int!, $expectedVersion: Int!, $text: String!) {
    editRunbook(session: $session, expectedVersion: $expectedVersion, text: $text) { version }
  }
`)
const EDIT_STEP = graphql(`
  mutation EditStep($session: Int!, $expectedVersion: Int!, $step: String!, $text: String!) {
    editStep(session: $session, expectedVersion: $expectedVersion, step: $step, text: $text) { version }
  }
`)
const DELETE_STEP = graphql(`
  mutation DeleteStep($session: Int!, $expectedVersion: Int!, $step: String!) {
    deleteStep(session: $session, expectedVersion: $expectedVersion, step: $step) { version }
  }
`)
const RESTORE = graphql(`
  mutation Restore($session: Int!, $version: Int!) {
    restoreVersion(session: $session, version: $version) { version }
  }
`)
const REVERT = graphql(`
  mutation Revert($session: Int!, $step: String!) { revertStep(session: $session, step: $step) { queued } }
`)
const MARK_DONE = graphql(`
  mutation MarkDone($session: Int!, $step: String!) { markStepDone(session: $session, step: $step) { number } }
`)
const SKIP_STEP = graphql(`
  mutation SkipStep($session: Int!, $expectedVersion: Int!, $step: String!, $reason: String!) {
    skipStep(session: $session, expectedVersion: $expectedVersion, step: $step, reason: $reason) { number }
  }
`)
const UNSKIP_STEP = graphql(`
  mutation UnskipStep($session: Int!, $expectedVersion: Int!, $step: String!) {
    unskipStep(session: $session, expectedVersion: $expectedVersion, step: $step) { number }
  }
`)
const MOVE_STEP = graphql(`
  mutation MoveStep($session: Int!, $expectedVersion: Int!, $step: String!, $to: StepPlace!, $of: String) {
    moveStep(session: $session, expectedVersion: $expectedVersion, step: $step, to: $to, of: $of) {
      steps { id number }
    }
  }
`)
const CANCEL = graphql(`
  mutation Cancel($session: Int!, $action: ID!) { cancelAction(session: $session, action: $action) { number } }
`)
const RENAME = graphql(`
  mutation Rename($session: Int!, $title: String!) {
    renameSession(session: $session, title: $title) { number }
  }
`)
const CLONE = graphql(`
  mutation Clone($session: Int!) { cloneSession(session: $session) { session { number } warnings } }
`)
const ARCHIVE = graphql(`
  mutation Archive($session: Int!, $archived: Boolean!) {
    archiveSession(session: $session, archived: $archived) { number }
  }
`)
const SWITCH_PERSONA = graphql(`
  mutation SwitchPersona($session: Int!, $persona: String) {
    switchPersona(session: $session, persona: $persona) { number }
  }
`)
const SET_BUDGET = graphql(`
  mutation SetBudget($session: Int!, $budget: BudgetInput!, $runBudget: BudgetInput!) {
    setBudget(session: $session, budget: $budget, runBudget: $runBudget) { number }
  }
`)

type StepPlace = VariablesOf<typeof MOVE_STEP>['to']

interface Budget {
  cost: number | null
  tokens: number | null
  seconds: number | null
}

/** What the contract wants of an answer in the log's words. */
export function answerInput(answer: Answer) {
  switch (answer.answer) {
    case 'answers':
      return {
        answers: Object.entries(answer.answers).map(([question, answer]) => ({ question, answer })),
      }
    case 'allow':
      return { allow: true }
    case 'deny':
      return { allow: false, denyReason: answer.reason || null }
    case 'chosen':
      return { option: answer.option }
  }
}

/** Everything that one can do to a session; the promises end with what the server said. */
export const sessionActions = (session: number) => ({
  send: (text: string) => request(SEND, { session, text }),
  execute: async (step: string | null, all = false) => {
    const { execute } = await request(EXECUTE, { session, step, all })
    say(`Queued: ${execute.queued.join(', ')}`)
  },
  stop: async () => {
    const { stop } = await request(STOP, { session })
    say(stop.running ? `Stopping ${stop.running}. What was done is kept.` : 'Nothing was running.')
  },
  retry: async (message: string | null = null) => {
    const { retry } = await request(RETRY, { session, message })
    say(`Queued again: ${retry.queued.join(', ')}`)
  },
  answer: (id: string, answer: Answer) =>
    request(ANSWER, { session, request: id, answer: answerInput(answer) }),
  editRunbook: (expectedVersion: number, text: string) =>
    request(EDIT_RUNBOOK, { session, expectedVersion, text }),
  editStep: (expectedVersion: number, step: string, text: string) =>
    request(EDIT_STEP, { session, expectedVersion, step, text }),
  deleteStep: (expectedVersion: number, step: string) =>
    request(DELETE_STEP, { session, expectedVersion, step }),
  restore: (version: number) => request(RESTORE, { session, version }),
  revert: (step: string) => request(REVERT, { session, step }),
  markDone: (step: string) => request(MARK_DONE, { session, step }),
  skipStep: (expectedVersion: number, step: string, reason: string) =>
    request(SKIP_STEP, { session, expectedVersion, step, reason }),
  unskipStep: (expectedVersion: number, step: string) =>
    request(UNSKIP_STEP, { session, expectedVersion, step }),
  moveStep: async (
    expectedVersion: number,
    step: { id: string; number: string },
    to: StepPlace,
    of: string | null = null,
  ) => {
    const { moveStep } = await request(MOVE_STEP, { session, expectedVersion, step: step.number, to, of })
    const now = moveStep.steps.find((each) => each.id === step.id)?.number ?? step.number
    say(now === step.number ? `Step ${now} is where it was.` : `Step ${step.number} is step ${now} now.`)
  },
  cancel: (action: string) => request(CANCEL, { session, action }),
  rename: (title: string) => request(RENAME, { session, title }),
  clone: async () => (await request(CLONE, { session })).cloneSession,
  archive: (archived: boolean) => request(ARCHIVE, { session, archived }),
  switchPersona: (persona: string | null) => request(SWITCH_PERSONA, { session, persona }),
  setBudget: (budget: Budget, runBudget: Budget) => request(SET_BUDGET, { session, budget, runBudget }),
})

/** One action at a time: `act.mutate(() => actions.stop())`, with the session read anew after it. */
export function useAct(session: number, showsErrors = false) {
  const client = useQueryClient()
  return useMutation({
    meta: { showsErrors },
    mutationFn: (act: () => Promise<unknown>) => act(),
    onSettled: () => client.invalidateQueries({ queryKey: sessionKey(session), exact: true }),
  })
}
