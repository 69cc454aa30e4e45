import path from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it, onTestFailed } from 'vitest'
import { launch, OUT, type Visit } from '../harness'
import { House, LIMIT, submit, turn } from './house'
import { connect, gather } from './team'

const RUNBOOK = `# Runbook: Three files

## Execution Steps

### Step 1: Write one
- \`one.txt\`

### Step 2: Write two
- \`two.txt\`

### Step 3: Write three
- \`three.txt\`
`

const SCRIPT = {
  auxiliary: 'A title',
  conversations: [
    {
      name: 'plan',
      when: { prompt_contains: 'Make a runbook for this request' },
      turns: [turn('That is enough to plan.', submit(RUNBOOK)), turn('The plan is ready.')],
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

const stepsOf = (page: Page) => page.getByRole('list', { name: 'Steps' })
const titles = (page: Page) => stepsOf(page).locator('.step-title').allTextContents()
const inOrder = (page: Page, ...wanted: string[]) =>
  expect.poll(() => titles(page), { timeout: LIMIT }).toEqual(wanted)

async function choose(page: Page, step: string, item: string) {
  await page.getByRole('button', { name: `More for ${step}` }).click()
  await page.getByRole('menuitem', { name: item }).click()
}

it('two people arrange a plan together', { timeout: 120_000 }, async () => {
  onTestFailed(async () => {
    for (const [at, { page }] of open.entries())
      await page.screenshot({ path: path.join(OUT, `steps-${at}.png`) })
  })
  const { ada, grace } = await gather(browser, house)
  open.push(ada, grace)
  await connect(ada.page, house)
  await ada.page.getByLabel('Describe the change').fill('Write three files')
  await ada.page.getByRole('button', { name: 'Plan it' }).click()
  await ada.page.waitForURL('**/r/1')
  await grace.page.goto('/r/1')
  for (const { page } of [ada, grace]) await inOrder(page, 'Write one', 'Write two', 'Write three')

  // By keys alone: whoever moves a step goes along with it and hears where it is; the other sees it at once.
  const three = stepsOf(ada.page).getByRole('button', { name: /Write three/ })
  await three.focus()
  await ada.page.keyboard.press('Alt+ArrowUp')
  await ada.page.getByRole('status').getByText('Step 3 is step 2 now.').waitFor()
  await inOrder(grace.page, 'Write one', 'Write three', 'Write two')
  await expect.poll(() => three.evaluate((button) => button === document.activeElement)).toBe(true)
  await ada.page.keyboard.press('Alt+ArrowDown')
  await ada.page.getByRole('status').getByText('Step 2 is step 3 now.').waitFor()
  await inOrder(grace.page, 'Write one', 'Write two', 'Write three')
  await expect.poll(() => three.evaluate((button) => button === document.activeElement)).toBe(true)
  await ada.page.keyboard.press('Alt+ArrowDown')
  await ada.page.getByText(/Step 3 is the last one on its level\./).waitFor()

  // One skips a step and says why; both see it, and the other takes it back.
  await choose(grace.page, '1', 'Skip …')
  const why = grace.page.getByRole('dialog')
  expect(await why.getByRole('button', { name: 'Skip' }).isDisabled()).toBe(true)
  await why.getByLabel('Why is it not done?').fill('<b>one.txt</b> is there')
  await why.getByRole('button', { name: 'Skip' }).click()
  const note = stepsOf(ada.page).locator('.step-note')
  await note.getByText('<b>one.txt</b> is there').waitFor()
  expect(await note.textContent()).toContain('Skipped by Grace Hopper')
  await ada.page.screenshot({ path: path.join(OUT, 'steps-skipped.png') })
  await grace.page.setViewportSize({ width: 390, height: 800 })
  await grace.page.emulateMedia({ colorScheme: 'dark' })
  await grace.page.goto('/r/1?tab=steps')
  await stepsOf(grace.page).locator('.step-note').waitFor()
  await grace.page.screenshot({ path: path.join(OUT, 'steps-skipped-phone.png') })

  // Who decided from an older version is told so, and nothing is moved.
  await choose(ada.page, '3', 'Move to …')
  const place = ada.page.getByRole('dialog')
  await place.getByLabel('Where to').selectOption('BEFORE')
  await place.getByLabel('Which step').selectOption({ label: '2 Write two' })
  await choose(grace.page, '1', 'Do it after all')
  await note.waitFor({ state: 'detached' })
  await choose(grace.page, '1', 'Move down')
  await inOrder(ada.page, 'Write two', 'Write one', 'Write three')
  await place.getByRole('button', { name: 'Move' }).click()
  await place.getByText(/at version 4 now, your edit started from version 3/).waitFor()
  await place.getByRole('button', { name: 'Cancel' }).click()

  await choose(ada.page, '3', 'Delete …')
  await ada.page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click()
  await inOrder(grace.page, 'Write two', 'Write one')
  expect(open.flatMap((each) => each.troubles)).toEqual([])
})
