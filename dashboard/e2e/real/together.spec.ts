import path from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { EMPTY, extend, fold } from '../../src/features/session/conversation'
import type { LogEvent } from '../../src/features/session/events'
import { summary } from '../../src/features/session/summary'
import { launch, OUT, type Visit } from '../harness'
import { ask, House, LIMIT, submit, turn, until, write } from './house'
import { connect, gather } from './team'

const RUNBOOK = `# Runbook: Two files

## Execution Steps

### Step 1: Write one
- \`one.txt\`

### Step 2: Write two
- \`two.txt\`
`
const COLOURFUL = RUNBOOK.replace('- `one.txt`', '- `one.txt`, in colour')

const SCRIPT = {
  auxiliary: 'A title',
  usage: { input: 1200, output: 80 },
  conversations: [
    {
      name: 'plan',
      when: { prompt_contains: 'Make a runbook for this request' },
      turns: [turn('That is enough to plan.', submit(RUNBOOK)), turn('The plan is ready.')],
    },
    {
      name: 'discuss',
      when: { prompt_matches: '(?s)A person of the team says:.*make it colourful' },
      turns: [turn('I change the plan.', submit(COLOURFUL)), turn('It is in colour now.')],
    },
    {
      name: 'step 1',
      when: { prompt_contains: 'Execute step 1: Write one' },
      turns: [
        turn('One thing is open.', ask('Which colour?', 'red', 'blue')),
        {
          say: `I write \${colour}.`,
          capture: { colour: '=.(red|blue)' },
          tools: [write('one.txt', `\${colour}\n`)],
        },
        turn('One is written.'),
      ],
    },
    {
      name: 'step 2',
      when: { prompt_contains: 'Execute step 2: Write two' },
      turns: [
        // Long enough to be in the middle of it for some seconds.
        { say: 'stream ', repeat: 600, chunk: 30, pace: '40ms', tools: [write('two.txt', '2\n')] },
        turn('Two is written.'),
      ],
    },
    {
      name: 'review',
      when: { prompt_contains: 'want this changed' },
      turns: [turn('I say why.', write('why.txt', 'Because.\n')), turn('It is said.')],
    },
  ],
}

let house: House
let browser: Browser
const open: Visit[] = []

beforeAll(async () => {
  house = new House({ 'README.md': '# Shop\n' })
  await house.start(SCRIPT)
  browser = await launch()
}, LIMIT)

afterAll(async () => {
  await browser?.close()
  await house?.close()
})

/** What the server says to the person whose page it is. */
async function asked<T>(page: Page, query: string): Promise<T> {
  const answer = await page.evaluate(async (query) => {
    const response = await fetch('/graphql', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Runyard': '1' },
      body: JSON.stringify({ query }),
    })
    return response.json()
  }, query)
  if (answer.errors) throw new Error(JSON.stringify(answer.errors))
  return answer.data.session
}

async function logOf(page: Page): Promise<LogEvent[]> {
  const all: LogEvent[] = []
  for (;;) {
    const { events } = await asked<{ events: { nodes: LogEvent[]; hasMore: boolean } }>(
      page,
      `{ session(number: 1) { events(after: ${all.at(-1)?.number ?? 0}, first: 500) { nodes { number at kind payload } hasMore } } }`,
    )
    all.push(...events.nodes)
    if (!events.hasMore) return all
  }
}

/** Every row of the Log tab, read while scrolling through it. */
async function rowsOf(page: Page): Promise<string[]> {
  await page.getByRole('link', { name: 'Log', exact: true }).click()
  const events = page.getByRole('region', { name: 'Events' })
  await events.locator('.event').first().waitFor()
  return events.evaluate(async (box) => {
    const rows = new Map<number, string>()
    const frame = () => new Promise(requestAnimationFrame)
    for (let top = 0; ; top += box.clientHeight / 2) {
      box.scrollTop = top
      do {
        await frame()
        await frame()
      } while (box.querySelector('.event-soon'))
      for (const row of box.querySelectorAll('.event')) {
        const [number, , kind, told] = [...(row.querySelector('button')?.children ?? [])].map(
          (part) => part.textContent ?? '',
        )
        rows.set(Number(number), `${number} ${kind} ${told}`)
      }
      if (top + box.clientHeight >= box.scrollHeight) break
    }
    return [...rows.values()].toSorted((one, other) => Number.parseInt(one, 10) - Number.parseInt(other, 10))
  })
}

/** The entries of the conversation from the first to the last; only those that one looks at are in the page. */
async function entriesOf(page: Page) {
  await page.keyboard.press('g')
  await page.keyboard.press('b')
  const feed = page.getByRole('log', { name: 'Conversation' })
  await feed.locator('#e1').waitFor()
  return feed.evaluate(async (box) => {
    const met = new Map<string, string>()
    // What is below is fetched when one comes near to it.
    for (let still = 0; still < 20; ) {
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, still > 0 ? 25 : 0)))
      for (const each of box.querySelectorAll('article')) met.set(each.id, each.textContent ?? '')
      const before = box.scrollTop
      box.scrollTop += box.clientHeight / 2
      still = box.scrollTop === before ? still + 1 : 0
    }
    return [...met].map(([id, text]) => ({ id, text }))
  })
}

/** Both ways of looking at the log show what the server has, nothing more, nothing twice. */
async function expectWhole(page: Page) {
  const events = await logOf(page)
  expect(events.map((event) => event.number)).toEqual(events.map((_, index) => index + 1))
  await page.getByText(`${events.length} of ${events.length}`).waitFor()
  expect(await rowsOf(page)).toEqual(events.map((event) => `${event.number} ${event.kind} ${summary(event)}`))

  const rows = fold(extend(EMPTY, events).entries)
  const shown = await entriesOf(page)
  expect(shown.map(({ id }) => id)).toEqual(rows.map((row) => `e${row.key}`))
  for (const [index, row] of rows.entries()) {
    if (row.kind === 'reads' || row.entry.kind !== 'message') continue
    expect(shown[index]?.text.replaceAll(/\s+/g, ' ')).toContain(
      row.entry.text.trim().replaceAll(/\s+/g, ' '),
    )
  }
}

const atRest = (page: Page) =>
  until('the session is at rest', async () => {
    const { queue } = await asked<{ queue: unknown[] }>(page, '{ session(number: 1) { queue { id } } }')
    return queue.length === 0
  })

async function typeAtTheEnd(page: Page, text: string) {
  await page.getByRole('link', { name: 'Markdown' }).click()
  await page.getByRole('textbox', { name: 'Runbook' }).click()
  await page.keyboard.press('Control+End')
  await page.keyboard.insertText(text)
}

const bodyOf = async (page: Page) =>
  (
    await asked<{ runbook: { version: number; body: string } }>(
      page,
      '{ session(number: 1) { runbook { version body } } }',
    )
  ).runbook

it('two people make a change together, through a lost network and a killed server', {
  timeout: 240_000,
}, async () => {
  onTestFailed(async () => {
    for (const [at, { page }] of open.entries())
      await page.screenshot({ path: path.join(OUT, `real-${at}.png`) })
  })
  const { ada, grace } = await gather(browser, house)
  open.push(ada, grace)

  // A repository, a request, a plan.
  await connect(ada.page, house)
  await ada.page.getByLabel('Describe the change').fill('Write two files')
  await ada.page.getByRole('button', { name: 'Options' }).click()
  await ada.page.getByLabel('Open them as').selectOption('open')
  await ada.page.getByRole('button', { name: 'Plan it' }).click()
  await ada.page.waitForURL('**/r/1')
  await grace.page.goto('/')
  await grace.page
    .getByRole('link', { name: /Write two files/ })
    .first()
    .click()
  for (const { page } of [ada, grace]) await page.getByText('The plan is ready.').waitFor()

  // They discuss it.
  await grace.page.getByLabel('Message', { exact: true }).fill('Please make it colourful')
  await grace.page.getByLabel('Message', { exact: true }).press('Enter')
  const said = ada.page.getByRole('article').filter({ hasText: 'Please make it colourful' })
  await said.getByText('Grace Hopper').waitFor()
  for (const { page } of [ada, grace]) await page.getByText('It is in colour now.').waitFor()

  // Both edit the runbook; the later one sees both texts and loses nothing.
  const before = await bodyOf(ada.page)
  expect(before.version).toBe(2)
  await typeAtTheEnd(ada.page, '- as Ada wants it\n')
  await typeAtTheEnd(grace.page, '- as Grace wants it\n')
  await ada.page.keyboard.press('Control+s')
  await ada.page.getByText('Saved as version 3.').waitFor()
  await grace.page.getByText('Version 3 was saved while you were writing.').waitFor()
  await grace.page.getByRole('button', { name: 'Compare', exact: true }).click()
  const compared = grace.page.getByRole('textbox', { name: 'Your text compared with theirs' })
  await compared.getByText('- as Grace wants it').waitFor()
  await grace.page.locator('.editor').getByText('- as Ada wants it').waitFor()
  await grace.page.getByRole('button', { name: 'Keep mine' }).click()
  await grace.page.getByRole('button', { name: 'Save version 4' }).click()
  await ada.page.getByText('Version 4', { exact: true }).first().waitFor()
  expect(await bodyOf(ada.page)).toEqual({ version: 4, body: `${before.body}- as Grace wants it\n` })

  // One executes, the other answers.
  await ada.page.getByRole('button', { name: 'Execute all' }).click()
  const question = grace.page.getByRole('region', { name: 'Question for you' })
  await question.getByLabel(/^blue/).check()
  await question.getByRole('button', { name: 'Answer' }).click()
  await ada.page.getByText('Grace Hopper answered blue').waitFor()

  // In the middle of what the agent writes one loses the network, and then the server dies.
  const streaming = (page: Page) => page.getByText(/stream stream/).first()
  for (const { page } of [ada, grace]) await streaming(page).waitFor()
  await grace.context.setOffline(true)
  const gone = Date.now()
  await house.crash()
  for (const { page } of [ada, grace]) await page.getByText('Connection lost.').waitFor()
  const lost = await ada.page.getByRole('log', { name: 'Conversation' }).textContent()
  expect(lost).not.toContain('Two is written.')
  await house.again()
  await ada.page.getByText('Connection lost.').waitFor({ state: 'detached' })
  await ada.page.getByText('Two is written.').waitFor()
  await until('the network was away for 30 s', () => Date.now() - gone > 30_000)
  await grace.page.getByText('Connection lost.').waitFor()
  expect(await grace.page.getByText('Two is written.').count()).toBe(0)
  await grace.context.setOffline(false)
  await grace.page.getByText('Two is written.').waitFor()
  await grace.page.getByText('Connection lost.').waitFor({ state: 'detached' })

  // One comments on a line, the other has it worked in; each merges one.
  const changes = '/r/1?tab=changes&change='
  await grace.page.getByRole('link', { name: /^Changes/ }).click()
  await grace.page.goto(`${changes}1`)
  await grace.page.getByRole('button', { name: 'Comment on line 1', exact: true }).first().click()
  await grace.page.getByRole('textbox', { name: 'Comment on line 1' }).fill('Say why it is blue.')
  await grace.page.getByRole('button', { name: 'Comment', exact: true }).last().click()
  const thread = { name: 'Comments on line 1' }
  await grace.page.getByRole('region', thread).getByText('Say why it is blue.').waitFor()
  await ada.page.goto(`${changes}1`)
  await ada.page.getByRole('region', thread).getByText('Say why it is blue.').waitFor()
  await ada.page.getByRole('button', { name: 'Revise …' }).click()
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Revise', exact: true }).click()
  for (const { page } of [ada, grace]) await page.getByText('It is said.').waitFor()
  await atRest(ada.page)
  for (const [{ page }, number] of [
    [ada, 1],
    [grace, 2],
  ] as const) {
    await page.goto(`${changes}${number}`)
    await page.getByRole('button', { name: 'Merge …' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Merge', exact: true }).click()
    await page.getByText(`#${number} is merged as`, { exact: false }).first().waitFor()
    await atRest(page)
  }
  for (const { page } of [ada, grace])
    await until('both are merged everywhere', async () => (await page.getByText('merged').count()) >= 2)
  expect(house.git('ls-tree', '--name-only', 'main').split('\n')).toEqual(
    expect.arrayContaining(['one.txt', 'two.txt', 'why.txt']),
  )
  expect(house.git('show', 'main:one.txt')).toBe('blue\n')

  // What is refused is said in words that a page can use.
  await grace.page.keyboard.press('e')
  await grace.page.getByText('Every step is completed. Say in a message what more is to be done.').waitFor()

  await ada.page.reload()
  for (const { page } of [ada, grace]) {
    await page.goto('/r/1?tab=log')
    await expectWhole(page)
  }
  expect(open.flatMap((each) => each.troubles)).toEqual([])
})
