import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import path from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Device, launch, OUT, type Server, scripted, signIn, startServer, visit } from './harness'

const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** What axe finds of serious or critical weight. The content policy forbids its script to the page, not to the tester. */
async function seriousFindings(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  const found = await page.evaluate(async () => {
    const { violations } = await (window as unknown as { axe: typeof import('axe-core') }).axe.run()
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)} (${failureSummary?.split('\n')[1]?.trim()})`).join(' | ')}`,
      )
  })
  return found
}

const DEVICES: Record<string, Device> = {
  'wide-light': {},
  'wide-dark': { dark: true },
  'phone-light': { width: 390, height: 844, phone: true },
  'phone-dark': { width: 390, height: 844, phone: true, dark: true },
}

const INSIDE: [name: string, address: string, ready: string | RegExp][] = [
  ['home', '/', 'Upgrade the HTTP client'],
  ['found', '/?q=client', 'Upgrade the HTTP'],
  ['nothing-found', '/?q=state%3Afailed+zebra', 'No session matches'],
  ['session', '/r/42', /Permission|Steps/],
  ['steps', '/r/42?tab=steps', 'Documentation'],
  ['markdown', '/r/42?tab=markdown', 'Moves every caller'],
  ['changes', '/r/42?tab=changes', 'The one client that everything shares.'],
  ['log', '/r/42?tab=log', /tool_started/],
  ['question', '/r/41', /Keep the blocking API|Steps/],
  ['failed', '/r/38', /failed/],
  ['me', '/settings/me', 'Where you are signed in'],
  ['people', '/settings/people', 'Grace Hopper'],
  ['tokens', '/settings/tokens', 'laptop'],
  ['context-files', '/settings/context', 'Errors'],
  ['personas', '/settings/personas', 'Security first'],
  ['learnings', '/settings/learnings', 'Reviewers want a mend with every refusal'],
  ['learnings-none', '/settings/learnings?q=zebra', 'No learning is like that.'],
  ['webhooks', '/settings/webhooks', 'release notes'],
  ['webhook', '/settings/webhooks/hook-1', 'step.completed'],
  ['webhook-new', '/settings/webhooks/new', 'New webhook'],
  ['audit', '/settings/audit', 'was denied'],
  ['audit-none', '/settings/audit?who=nobody', 'No entry is like that.'],
]

// Pictures of the mock's team; the real server's pages have other words.
describe.skipIf(!scripted)('every page, light and dark, wide and on a phone', () => {
  let server: Server
  let browser: Browser
  beforeAll(async () => {
    server = await startServer()
    browser = await launch()
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  for (const [device, options] of Object.entries(DEVICES)) {
    it(`is whole and accessible: ${device}`, async () => {
      const { context, page, troubles } = await visit(browser, server, options)
      const findings: string[] = []
      const look = async (name: string) => {
        await page.screenshot({ path: path.join(OUT, `${name}-${device}.png`) })
        for (const finding of await seriousFindings(page)) findings.push(`${name}: ${finding}`)
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth > window.innerWidth)
        if (overflow) findings.push(`${name}: wider than the screen`)
      }
      await page.goto('/sign-in')
      await page.getByRole('button', { name: 'Sign in' }).waitFor()
      await look('sign-in')
      await page.goto('/welcome/first')
      await page.getByRole('button', { name: 'Create account' }).waitFor()
      await look('welcome')
      await page.goto('/welcome/long-gone')
      await page.getByRole('heading', { name: 'This link does not work' }).waitFor()
      await look('welcome-expired')
      await signIn(page)
      for (const [name, address, ready] of INSIDE) {
        await page.goto(address)
        // The conversation beside it may have the same words.
        const part = address.includes('?tab=') ? page.getByRole('region', { name: 'Work' }) : page
        await part.getByText(ready).locator('visible=true').first().waitFor({ timeout: 10_000 })
        await look(name)
      }
      await page.keyboard.press('Control+k')
      await page.getByRole('combobox', { name: 'Search sessions and commands' }).waitFor()
      await look('palette')
      await page.keyboard.press('Escape')
      await context.close()
      expect(findings).toEqual([])
      expect(troubles).toEqual([])
    }, 150_000)
  }
})
