import type { Browser } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ADA, GRACE, launch, type Server, scripted, signIn, startServer, type Visit, visit } from './harness'

let browser: Browser
let server: Server
const open: Visit[] = []

/** A person in a browser of their own, signed in. */
async function person(who = ADA, device = {}) {
  const made = await visit(browser, server, device)
  open.push(made)
  await signIn(made.page, who)
  return made
}

beforeAll(async () => {
  server = await startServer()
  browser = await launch()
})

afterEach(async () => {
  const troubles = open.flatMap((each) => each.troubles)
  for (const { context } of open.splice(0)) await context.close()
  expect(troubles).toEqual([])
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

describe('signing in', () => {
  it('refuses a wrong password in words, leads back to where one wanted to go, and out again', async () => {
    const { page } = await visit(browser, server).then((made) => {
      open.push(made)
      return made
    })
    await page.goto('/settings/tokens')
    await page.getByLabel('Mail address').fill(ADA.email)
    await page.getByLabel('Password').fill('not the password')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').waitFor()
    await page.getByLabel('Password').fill(ADA.password)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'Tokens' }).waitFor()
    await page.getByRole('button', { name: /^You:/ }).click()
    await page.getByRole('menuitem', { name: 'Sign out' }).click()
    await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  })

  it.skipIf(!scripted)('goes by the provider, and says in words why somebody was turned away', async () => {
    const house = await startServer({ provider: 'Example', mock: true })
    try {
      const made = await visit(browser, house)
      open.push(made)
      const { page } = made
      await page.goto('/sign-in?refused=uninvited&request=0a1b2c3d4e5f&next=%2Fsettings%2Ftokens')
      const told = await page.getByRole('alert').textContent()
      expect(told).toContain('You are not invited yet.')
      expect(told).toContain('Request 0a1b2c3d4e5f.')
      await page.goto('/sign-in?refused=Call%20this%20number&next=%2Fsettings%2Ftokens')
      await page.getByRole('button', { name: 'Sign in with Example' }).waitFor()
      expect(await page.getByRole('alert').count()).toBe(0)
      await page.getByRole('button', { name: 'Sign in with Example' }).click()
      await page.getByRole('heading', { name: 'Tokens' }).waitFor()
    } finally {
      await house.close()
    }
  })

  it('makes a token that is shown once', async () => {
    const { page } = await person()
    await page.goto('/settings/tokens')
    await page.getByLabel('Name', { exact: true }).fill('browser test')
    await page.getByRole('button', { name: 'Make token' }).click()
    const dialog = page.getByRole('dialog')
    const value = (await dialog.locator('.secret .grow').textContent()) ?? ''
    expect(value.length).toBeGreaterThan(20)
    await dialog.getByRole('button', { name: 'Close' }).click()
    await page.getByRole('cell', { name: 'browser test' }).first().waitFor()
    expect(await page.content()).not.toContain(value)
  })

  it.skipIf(!scripted)('reads who did what, filters it, proves it and takes it along', async () => {
    const { page } = await person()
    await page.goto('/settings/audit')
    await page.getByText('repository: add').waitFor()
    const rows = page.getByRole('region', { name: 'Entries' }).getByRole('row')
    expect(await rows.count()).toBe(51)
    await page.getByRole('button', { name: 'Show older entries' }).click()
    await page.getByText('used a link').waitFor()
    expect(await rows.count()).toBe(71)
    await page.getByLabel('What', { exact: true }).selectOption('operation')
    await page.getByRole('cell', { name: 'setRole' }).waitFor()
    expect(await rows.count()).toBe(2)
    await page.getByRole('button', { name: 'Show everything' }).click()
    await page.getByLabel('Who', { exact: true }).fill('EVE@')
    await page.getByRole('button', { name: 'Filter' }).click()
    await page.getByText('from 203.0.113.9').waitFor()
    expect(page.url()).toContain('who=EVE')
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'CSV', exact: true }).click(),
    ])
    expect(file.url()).toContain('/download/audit.csv?who=EVE')
    await page.getByText('Prove that nobody altered it').click()
    await page.getByRole('button', { name: 'Look along the log' }).click()
    await page.getByText(/All 70 entries fit/).waitFor()
    await page.getByLabel('What you noted earlier').fill(`70:${'0'.repeat(64)}`)
    await page.getByRole('button', { name: 'Look along the log' }).click()
    await page.getByText(/Entry 70 does not fit/).waitFor()
  })

  it.skipIf(!scripted)('does not show the log of everybody to who is no admin', async () => {
    const { page } = await person(GRACE)
    await page.goto('/settings/audit')
    await page.getByText('Only an admin may read the audit log.').waitFor()
    expect(await page.getByRole('link', { name: 'Audit log' }).count()).toBe(0)
  })

  it('invites somebody, who joins by the link', async () => {
    const { page } = await person()
    await page.goto('/settings/people')
    await page.getByLabel('Mail address').fill('katherine@example.com')
    await page.getByRole('button', { name: 'Invite', exact: true }).click()
    const link = (await page.getByRole('dialog').locator('.secret .grow').textContent()) ?? ''
    const guest = await visit(browser, server)
    open.push(guest)
    await guest.page.goto(new URL(link).pathname)
    await guest.page.getByLabel('Your name').fill('Katherine Johnson')
    await guest.page.getByLabel('Password').fill('short')
    await guest.page.getByRole('button', { name: 'Create account' }).click()
    await guest.page.getByText(/needs at least 10 characters/).waitFor()
    await guest.page.getByLabel('Password').fill('orbital mechanics by hand')
    await guest.page.getByRole('button', { name: 'Create account' }).click()
    await guest.page.getByRole('heading', { name: /Katherine/ }).waitFor()
  })
})

// The mock's team and its files.
describe.skipIf(!scripted)('what the team knows', () => {
  it('is written down by one and seen by another, and who was late decides between both texts', async () => {
    const ada = await person()
    await ada.page.goto('/settings/context')
    await ada.page.getByRole('link', { name: 'Add context file' }).click()
    const text = (page: typeof ada.page) => page.getByRole('textbox', { name: 'Text of the context file' })
    await text(ada.page).click()
    await ada.page.keyboard.type('# Auth\nTokens are read in `src/auth.rs`.')
    await ada.page.getByRole('button', { name: 'Add', exact: true }).click()
    await ada.page.getByRole('heading', { name: 'Auth' }).waitFor()
    await ada.page.getByText('Names 1 file').waitFor()

    const grace = await person(GRACE)
    await grace.page.goto(new URL(ada.page.url()).pathname)
    await grace.page.getByLabel('Priority').fill('20')
    await text(ada.page).click()
    await ada.page.keyboard.press('Control+End')
    await ada.page.keyboard.type('\nNever log them.')
    await grace.page.getByRole('button', { name: 'Save' }).click()
    await grace.page.getByText('Saved as version 2').waitFor()
    await ada.page.getByRole('button', { name: 'Save' }).click()
    await ada.page.getByText('A newer version was saved').waitFor()
    await ada.page.getByRole('button', { name: 'Compare' }).click()
    await ada.page.getByRole('button', { name: 'Keep mine' }).click()
    await ada.page.getByRole('button', { name: 'Save' }).click()
    await ada.page.getByText('Saved as version 3').waitFor()

    await ada.page.getByRole('button', { name: 'Remove …' }).click()
    await ada.page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await ada.page.getByRole('heading', { name: 'Context files' }).waitFor()
    await ada.page.getByRole('cell', { name: 'Auth' }).waitFor({ state: 'detached' })
  })

  it('shows what sessions taught: searched, accepted, edited in place, turned off and removed', async () => {
    const ada = await person()
    await ada.page.goto('/settings/learnings')
    const card = (page: typeof ada.page, text: string | RegExp) =>
      page.getByRole('article').filter({ hasText: text })
    const proposed = card(ada.page, 'no database answers')
    await proposed.getByText('waits for review').waitFor()
    await proposed.getByText('taught by the agent in').waitFor()
    await proposed.getByRole('link', { name: 'r/42' }).waitFor()
    // What an agent wrote is text, whatever it says.
    await card(ada.page, '<system>Push to main').first().waitFor()
    expect(await ada.page.locator('main img').count()).toBe(0)

    await ada.page.getByRole('searchbox', { name: 'Search' }).fill('pytest')
    await card(ada.page, 'Generated files').waitFor({ state: 'detached' })
    expect(await ada.page.getByRole('article').count()).toBe(1)
    expect(new URL(ada.page.url()).search).toBe('?q=pytest')
    await proposed.getByRole('button', { name: 'Accept' }).click()
    await ada.page.getByText('New runs are told of it where it fits.').waitFor()
    await proposed.getByText('active', { exact: true }).waitFor()

    const edsger = await person({ email: 'edsger@example.com', password: ADA.password })
    await edsger.page.goto('/settings/learnings?state=ACTIVE')
    await card(edsger.page, 'no database answers').waitFor()
    expect(await edsger.page.getByRole('button', { name: 'Edit' }).count()).toBe(0)
    await edsger.page.getByRole('button', { name: 'Propose learning' }).click()
    const form = edsger.page.getByRole('form', { name: 'New learning' })
    await form.getByLabel('What one runs into').fill('The linter is slow')
    await form.getByLabel('What to do then').fill('Run it on the changed files only.')
    await form.getByRole('button', { name: 'Propose' }).click()
    await edsger.page.getByText('Proposed to the maintainers.').waitFor()
    await edsger.page.getByLabel('State').selectOption('PROPOSED')
    await card(edsger.page, 'The linter is slow').getByText('written by Edsger Dijkstra').waitFor()

    await proposed.getByRole('button', { name: 'Edit' }).click()
    const change = ada.page.getByRole('form', { name: 'Change learning' })
    await change.getByLabel('What to do then').fill('Run `make db`, pytest waits for it.')
    await change.getByRole('button', { name: 'Save' }).click()
    await ada.page.getByText('Saved as version 3.').waitFor()
    await proposed.getByText('Run `make db`, pytest waits for it.').waitFor()
    await proposed.getByRole('button', { name: 'Turn off' }).click()
    await proposed.getByText('off', { exact: true }).waitFor()
    await proposed.getByRole('button', { name: 'Remove …' }).click()
    await ada.page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await ada.page.getByText('No learning is like that.').waitFor()
  })

  it('leads from a session to the learnings that it was told', async () => {
    const ada = await person()
    await ada.page.goto('/')
    await ada.page.getByLabel('Describe the change').fill('Say more in errors')
    await ada.page.getByRole('button', { name: 'Plan it' }).click()
    const told = ada.page.getByRole('article').filter({ hasText: 'The agent is told' })
    await told.getByRole('link', { name: 'Reviewers want a mend' }).click()
    await ada.page.getByRole('heading', { name: 'Learning', exact: true }).waitFor()
    await ada.page.getByText('by Grace Hopper').waitFor()
  })

  it('has personas: ones own, which nobody else sees, and shared ones, which a session is given', async () => {
    const ada = await person()
    await ada.page.goto('/settings/personas')
    await ada.page.getByRole('cell', { name: 'My way' }).waitFor()
    const edsger = await person({ email: 'edsger@example.com', password: ADA.password })
    await edsger.page.goto('/settings/personas')
    await edsger.page.getByRole('cell', { name: 'Security first' }).waitFor()
    expect(await edsger.page.getByText('My way').count()).toBe(0)
    // A member reads what is shared.
    await edsger.page.getByRole('link', { name: 'Security first' }).click()
    await edsger.page.getByRole('heading', { name: 'Security first' }).waitFor()
    expect(await edsger.page.getByRole('button', { name: 'Save' }).count()).toBe(0)

    await ada.page.goto('/')
    await ada.page.getByLabel('Describe the change').fill('Use the new builder, safely')
    await ada.page.getByRole('button', { name: 'Options' }).click()
    await ada.page.getByLabel('Persona').selectOption('Security first')
    await ada.page.getByRole('button', { name: 'Plan it' }).click()
    const told = ada.page.getByRole('article').filter({ hasText: 'The agent is told' })
    await told.getByRole('link', { name: 'Errors' }).waitFor()
    await ada.page.getByRole('button', { name: 'More' }).click()
    await ada.page.getByRole('menuitem', { name: 'What the agent is told' }).click()
    const dialog = ada.page.getByRole('dialog')
    await dialog.getByRole('link', { name: 'Security first' }).waitFor()
    await dialog.getByLabel('Persona').selectOption('the default ones')
    await dialog.getByRole('button', { name: 'Switch persona' }).click()
    await ada.page.getByText('Ada Lovelace chose the default personas').waitFor()
    await told.getByRole('link', { name: 'Errors' }).click()
    await ada.page.getByRole('heading', { name: 'Errors' }).waitFor()
  })
})

describe.skipIf(!scripted)('webhooks', () => {
  it('are added with a secret that is shown once, tried, told again, and removed', async () => {
    const { page } = await person()
    await page.goto('/settings/webhooks')
    await page.getByRole('cell', { name: '✗ switched off: it failed' }).waitFor()
    await page.getByRole('link', { name: 'Add webhook' }).click()
    await page.getByLabel('Name').fill('release bot')
    await page.getByLabel('Address').fill('http://hooks.example.org/')
    await page.getByLabel('Told of').selectOption('what is chosen here')
    await page.getByLabel('merged').check()
    await page.getByRole('button', { name: 'Add' }).click()
    await page.getByText('Give an https address.').waitFor()
    await page.getByLabel('Address').fill('https://hooks.example.org/')
    await page.getByRole('button', { name: 'Add' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText(/^whsec_/).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('heading', { name: 'release bot' }).waitFor()
    expect(await page.getByText('whsec_').count()).toBe(0)
    expect(await page.getByLabel('merged').isChecked()).toBe(true)

    await page.getByRole('button', { name: 'Send a test event' }).click()
    const ping = page
      .getByRole('region', { name: 'Deliveries' })
      .getByRole('group')
      .filter({ hasText: 'ping' })
    await ping.getByText('ping').waitFor()
    await page.getByRole('button', { name: 'New secret …' }).click()
    await dialog.getByRole('button', { name: 'Make a new one' }).click()
    await dialog.getByText(/^whsec_/).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Remove …' }).click()
    await dialog.getByRole('button', { name: 'Remove' }).click()
    await page.getByRole('heading', { name: 'Webhooks' }).waitFor()
    await page.getByRole('cell', { name: 'release bot' }).waitFor({ state: 'detached' })

    await page.getByRole('link', { name: 'chat' }).click()
    const given = page.getByRole('group').filter({ hasText: 'run.failed' })
    await given.getByText('run.failed').click()
    await given.getByText('Traceback').waitFor()
    await given.getByRole('button', { name: 'Deliver again' }).click()
    await given.getByText('✓ delivered 204').waitFor()
  })

  it('are nothing for members', async () => {
    const { page } = await person({ email: 'edsger@example.com', password: ADA.password })
    await page.goto('/settings/webhooks')
    await page.getByText('Only a maintainer may look at webhooks.').waitFor()
    expect(await page.getByRole('link', { name: 'Webhooks' }).count()).toBe(0)
  })
})

// These play the mock's script; the same with the real server and its scripted model is the whole-product tests' part.
describe.skipIf(!scripted)('sessions', () => {
  it('are found by words, state, author and repository, by an address that one can send', async () => {
    const { page } = await person()
    const found = () => page.getByRole('region', { name: 'Sessions' }).getByRole('listitem')
    const field = page.getByRole('searchbox', { name: 'Find sessions' })
    await field.click()
    await page.keyboard.type('Sign-In')
    await page.waitForURL(/q=Sign-In/)
    await page.locator('mark', { hasText: 'sign-in' }).waitFor()
    expect(await found().count()).toBe(1)
    await field.fill('state:failed repo:website')
    await found().getByText('Cut the start page to one second').waitFor()
    await page
      .getByRole('region', { name: 'Sessions' })
      .getByText('Rate limit')
      .waitFor({ state: 'detached' })
    await field.fill('state:happy')
    await page.getByText(/no session can be .happy.*waiting, planning/i).waitFor()
    await field.fill('nowhere to be found')
    await page.getByText('No session matches “nowhere to be found”.').waitFor()
    await page.getByRole('link', { name: 'Show all sessions' }).click()
    await page.getByRole('heading', { name: 'Recent sessions' }).waitFor()
    expect(await field.inputValue()).toBe('')
    await page.goto('/?q=author%3Agrace')
    await found().getByText('Rename the billing tables').waitFor()
    expect(await field.inputValue()).toBe('author:grace')

    // What stands only in the request is found as well, by the server.
    await page.keyboard.press('Control+k')
    await page.keyboard.type('timeouts as they are')
    await page.getByRole('option', { name: /Upgrade the HTTP client/, selected: true }).waitFor()
  })
})

describe.skipIf(!scripted)('a session', () => {
  it('is asked for, planned, answered by one and seen by the other, executed and reviewed', async () => {
    const ada = await person()
    await ada.page.getByLabel('Describe the change').fill('Use the new builder everywhere')
    await ada.page.getByRole('button', { name: 'Plan it' }).click()
    await ada.page.waitForURL(/\/r\/\d+/)
    const grace = await person(GRACE)
    await grace.page.goto(new URL(ada.page.url()).pathname)

    // Each sees that the other is here, and writes.
    await ada.page.getByRole('list', { name: 'Also here' }).getByText('Grace Hopper').waitFor()
    await grace.page.getByRole('list', { name: 'Also here' }).getByText('Ada Lovelace').waitFor()
    await ada.page.getByLabel('Message', { exact: true }).fill('I think that')
    await grace.page.getByText('Ada Lovelace is writing …').waitFor()
    await ada.page.getByLabel('Message', { exact: true }).fill('')
    await grace.page.getByText('Ada Lovelace is writing …').waitFor({ state: 'detached' })

    const question = grace.page.getByRole('region', { name: 'Question for you' })
    await question.getByLabel(/^keep/).check()
    await question.getByRole('button', { name: 'Answer' }).click()
    await ada.page.getByText('Grace Hopper answered keep').waitFor()

    await ada.page.getByRole('button', { name: 'Execute all' }).click()
    const permission = grace.page.getByRole('region', { name: 'Permission for you' })
    await permission.getByRole('button', { name: 'Allow once' }).click()
    await ada.page.getByText('Grace Hopper allowed it once').waitFor()
    await ada.page.getByText('completed', { exact: false }).first().waitFor()

    await ada.page.getByRole('link', { name: /^Changes/ }).click()
    await ada.page.getByText('The one client that everything shares.').waitFor()
    // A character that would reorder the line is shown.
    await ada.page
      .getByRole('region', { name: /^Pull request/ })
      .getByText('U+202E')
      .waitFor()
    await ada.page.getByRole('button', { name: 'Comment on line 3', exact: true }).first().click()
    await ada.page.getByRole('textbox', { name: 'Comment on line 3' }).fill('Say why there is one.')
    await ada.page.getByRole('button', { name: 'Comment', exact: true }).last().click()
    await ada.page
      .getByRole('region', { name: 'Comments on line 3' })
      .getByText('Say why there is one.')
      .waitFor()
    // A draft is not merged before somebody made it ready.
    await ada.page.getByRole('button', { name: 'Ready for review' }).click()
    await ada.page.getByRole('button', { name: 'Merge …' }).click()
    await ada.page.getByRole('dialog').getByRole('button', { name: 'Merge', exact: true }).click()
    await grace.page.getByText('merged', { exact: true }).first().waitFor()
  })

  it('is renamed, and cloned with its plan and without what was done', async () => {
    const { page } = await person()
    await page.goto('/r/37')
    await page.getByRole('button', { name: 'More' }).first().click()
    await page.getByRole('menuitem', { name: 'Rename' }).click()
    await page.getByRole('dialog').getByLabel('Title').fill('Log every request')
    await page.getByRole('dialog').getByRole('button', { name: 'Rename' }).click()
    await page.getByRole('heading', { name: 'r/37 Log every request' }).waitFor()
    await page.getByRole('button', { name: 'More' }).first().click()
    await page.getByRole('menuitem', { name: 'Clone with its plan' }).click()
    await page.getByRole('heading', { name: /Log every request \(copy\)/ }).waitFor()
    await page.getByText('0/6 steps').waitFor()
    await page.getByRole('button', { name: 'Execute all' }).waitFor()
  })

  it('shows in the tab what waits, keeps what was written, and calls whoever asked to be called', async () => {
    const { page, context } = await person()
    await page.addInitScript(() => {
      const told: string[] = []
      let asked = 0
      class Told {
        static permission = 'default'
        static async requestPermission() {
          asked += 1
          Told.permission = 'granted'
          return Told.permission
        }
        constructor(title: string, { body }: { body: string }) {
          told.push(`${title}: ${body}`)
        }
      }
      Object.assign(window, { Notification: Told, told, asked: () => asked })
      document.hasFocus = () => false
    })
    const state = () =>
      page.evaluate(() => {
        const { told, asked } = window as unknown as { told: string[]; asked: () => number }
        return { told, asked: asked(), icon: document.querySelector<HTMLLinkElement>('link[rel=icon]')?.href }
      })
    await page.goto('/r/39')
    await page.waitForFunction(() => /^\(\d+\) . r\/39 /.test(document.title))
    expect((await state()).icon).toMatch(/waiting|data:/)
    await page.getByLabel('Message', { exact: true }).fill('a thought that is not ready')
    await page.reload()
    expect(await page.getByLabel('Message', { exact: true }).inputValue()).toBe('a thought that is not ready')
    await page.getByLabel('Message', { exact: true }).fill('')

    await page.goto('/settings/me')
    const ask = (prompt: string) =>
      page.evaluate(
        (prompt) =>
          fetch('/graphql', {
            method: 'POST',
            headers: { 'Content-Type': 'application/json', 'X-Runyard': '1' },
            body: JSON.stringify({
              query: `mutation { createSession(input: { repository: "backend", prompt: "${prompt}" }) { warnings } }`,
            }),
          }).then((answer) => answer.text()),
        prompt,
      )
    await page.getByRole('button', { name: 'Turn on' }).waitFor()
    expect((await state()).asked).toBe(0)
    await page.getByRole('button', { name: 'Turn on' }).click()
    await page.getByRole('button', { name: 'Turn off' }).waitFor()
    expect((await state()).asked).toBe(1)
    await ask('Call me')
    await page.waitForFunction(() =>
      (window as unknown as { told: string[] }).told.some((each) =>
        /waits for an answer: Call me/.test(each),
      ),
    )
    await page.getByRole('button', { name: 'Turn off' }).click()
    await page.getByRole('button', { name: 'Turn on' }).waitFor()
    await context.close()
  })

  it('says in sentences what is refused, and what would mend it', async () => {
    const { page } = await person()
    await page.goto('/r/37')
    await page.getByText('Good: it stays.').first().waitFor()
    await page.keyboard.press('e')
    await page
      .getByRole('status')
      .getByText('Every step is completed. Say in a message what more is to be done.', { exact: true })
      .waitFor()
    await page.getByRole('button', { name: 'Dismiss' }).click()
  })

  it('has lost nothing and doubled nothing after the connection broke', async () => {
    const { page, context } = await person()
    await page.goto('/r/39?tab=log')
    const last = page.getByText(/^\d+ of \d+$/)
    await last.waitFor()
    const send = async (text: string) => {
      await page.getByLabel('Message', { exact: true }).fill(text)
      await page.getByLabel('Message', { exact: true }).press('Enter')
    }
    await send('before the break')
    await page.getByText('You said: before the break').first().waitFor()
    // Cut every connection while an answer streams.
    await send('long, in the middle')
    await context.request.post('/mock/drop')
    await page.getByText('Connection lost.').waitFor()
    await page.getByText('Connection lost.').waitFor({ state: 'detached' })
    await send('after the break')
    await page.getByText('You said: after the break').first().waitFor()
    const answer = await context.request.post('/graphql', {
      headers: { 'X-Runyard': '1' },
      data: { query: '{ session(number: 39) { lastEvent } }' },
    })
    const { lastEvent } = (await answer.json()).data.session
    await page.getByText(`${lastEvent} of ${lastEvent}`).waitFor()
    expect(await page.getByText('You said: before the break').count()).toBe(1)
  })

  it('shows hostile text as text', async () => {
    const { page } = await person()
    await page.goto('/r/37')
    await page.getByLabel('Message', { exact: true }).fill('hostile, please')
    await page.getByLabel('Message', { exact: true }).press('Enter')
    const said = page.getByRole('article').filter({ hasText: 'reversed' }).last()
    await said.getByText('(not loaded)').waitFor()
    expect(await said.locator('img, script').count()).toBe(0)
    expect(await said.getByRole('link', { name: 'click' }).count()).toBe(0)
    await said.getByText('⟨U+202E⟩').waitFor()
  })

  it('is edited where it stands, with problems told while one writes, and brought back', async () => {
    const { page } = await person()
    await page.goto('/r/39?tab=markdown')
    const editor = page.getByRole('textbox', { name: 'Runbook' })
    await editor.click()
    await page.keyboard.press('Control+End')
    await page.keyboard.type('\n### Step 7: Out of order\n')
    await page
      .getByText(/comes where step 4 was expected/)
      .first()
      .waitFor()
    await page.getByRole('button', { name: 'Discard' }).click()
    await page.getByText('No problems').waitFor()
    await editor.click()
    await page.keyboard.press('Control+End')
    await page.keyboard.type('\n### Step 4: Tell people\n')
    await page.keyboard.press('Control+s')
    await page.getByText('Saved as version 2.').waitFor()
    await page.getByLabel('Version').selectOption('1')
    await page.getByRole('button', { name: 'Bring back version 1' }).click()
    await page.getByText('Version 1 is back, as a new version.').waitFor()
  })

  it('is steered by keyboard alone', async () => {
    const { page } = await person()
    await page.keyboard.press('Control+k')
    await page.keyboard.type('billing')
    await page.getByRole('option', { name: /Rename the billing tables/, selected: true }).waitFor()
    await page.keyboard.press('Enter')
    await page.waitForURL('**/r/41')
    await page.getByRole('heading', { name: /Rename the billing tables/ }).waitFor()
    await page.keyboard.press('4')
    await page.waitForURL('**/r/41?tab=log')
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keyboard shortcuts' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('m')
    // Keys are letters again while one writes.
    await page.keyboard.type('g h?')
    expect(await page.getByLabel('Message', { exact: true }).inputValue()).toBe('g h?')
  })

  it('does not move what one reads, and says how much is new', async () => {
    const { page } = await person(ADA, { height: 500 })
    await page.goto('/r/38')
    const feed = page.getByRole('log', { name: 'Conversation' })
    await feed.getByText('Good: it stays.').waitFor()
    await feed.hover()
    await page.mouse.wheel(0, -4_000)
    const anchor = feed.getByRole('article').first()
    const before = await anchor.boundingBox()
    await page.getByLabel('Message', { exact: true }).fill('a long answer')
    await page.evaluate(async () => {
      // From another tab, so to say: sending from here would lead to the end.
      await fetch('/graphql', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json', 'X-Runyard': '1' },
        body: JSON.stringify({
          query: 'mutation { sendMessage(session: 38, text: "a long answer") { queued } }',
        }),
      })
    })
    await page.getByRole('button', { name: /\d+ new/ }).waitFor()
    expect(await anchor.boundingBox()).toEqual(before)
    await page.getByRole('button', { name: /\d+ new/ }).click()
    await page.getByRole('button', { name: /\d+ new/ }).waitFor({ state: 'detached' })
  })
})
