import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launch, type Server, signIn, startServer, visit } from '../harness'

/** Texts that are cheap to write and dear to draw. */
const HEAVY: Readonly<Record<string, string>> = {
  quotes: '>'.repeat(100_000),
  'spaced quotes': '> '.repeat(100_000),
  'quotes of lists': '> - '.repeat(25_000),
  'deep list': Array.from({ length: 600 }, (_, depth) => `${'  '.repeat(depth)}- x`).join('\n'),
  brackets: '['.repeat(100_000),
  'pictures of pictures': '!['.repeat(50_000),
  stars: '*a **b '.repeat(20_000),
  underscores: '_a __b '.repeat(20_000),
  ticks: Array.from({ length: 400 }, (_, length) => '`'.repeat(length)).join(' '),
  references: '[a]: b\n'.repeat(20_000),
  'open tags': '<a '.repeat(40_000),
  entities: '&amp;'.repeat(30_000),
  addresses: 'a@b.c '.repeat(20_000),
  table: `|${'a|'.repeat(500)}\n|${'-|'.repeat(500)}\n${`|${'b|'.repeat(500)}\n`.repeat(100)}`,
  tildes: '~~a~ '.repeat(20_000),
  'one long line': 'x'.repeat(190_000),
  footnotes: `${'[^a]'.repeat(20_000)}\n\n[^a]: x`,
}

/** A text of the same length without anything in it that costs more than its letters: what the others are held against. */
const PLAIN = Array.from({ length: 2_000 }, (_, n) => `${'word '.repeat(19)}${n}\n\n`).join('')
/** How much longer than the plain text's the longest task of the page may be. Without limits it is hundreds of times. */
const MOST_TIMES = 12

let server: Server
let browser: Browser

beforeAll(async () => {
  server = await startServer({ mock: true })
  browser = await launch()
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

it('what the agent writes does not hold the page up, whatever it would cost to draw', {
  timeout: 120_000,
}, async () => {
  const { page, troubles } = await visit(browser, server)
  await signIn(page)
  await page.addInitScript(() => {
    const seen = Object.assign(window, { longest: 0 })
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) seen.longest = Math.max(seen.longest, duration)
    }).observe({ type: 'longtask', buffered: true })
  })
  const longestFor = async (text: string) => {
    await page.route('**/graphql', async (route) => {
      const { query } = route.request().postDataJSON()
      if (/^\s*query Newest/.test(query))
        return route.fulfill({ json: { data: { session: { lastEvent: 1 } } } })
      if (!/^\s*query Events/.test(query)) return route.continue()
      const payload = { type: 'message', from: { who: 'agent' }, run: 'run', text }
      const nodes = [{ number: 1, at: '2026-11-28T05:00:00.000Z', kind: 'message', payload }]
      await route.fulfill({ json: { data: { session: { events: { nodes, hasMore: false } } } } })
    })
    await page.goto('/r/42')
    await page.locator('.feed article').first().waitFor()
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))))
    const longest = await page.evaluate(() => (window as unknown as { longest: number }).longest)
    await page.unroute('**/graphql')
    return longest
  }
  // The first visit also starts the page's own code.
  await longestFor('warm')
  const plain = Math.max(50, await longestFor(PLAIN))
  const dear: string[] = []
  for (const [name, text] of Object.entries(HEAVY)) {
    const longest = await longestFor(text)
    if (longest > MOST_TIMES * plain)
      dear.push(`${name}: ${(longest / plain).toFixed(1)} times as long as plain text`)
  }
  expect(dear).toEqual([])
  expect(troubles).toEqual([])
})
