import type { Browser, CDPSession, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launch, type Server, scripted, signIn, startServer, visit } from './harness'

/** Elements that the page may have whatever a session holds. */
const MOST_NODES = 4_000
/** What a long session may cost more than a short one, in bytes of JavaScript's heap. */
const MOST_HEAP = 64 << 20

let server: Server
let browser: Browser

beforeAll(async () => {
  server = await startServer({ mock: true, pace: 0 })
  browser = await launch()
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

async function enter() {
  const visited = await visit(browser, server)
  await signIn(visited.page)
  await visited.context.request.post('/mock/reset')
  const fill = (session: number, count: number, kind: string) =>
    visited.context.request.post('/mock/fill', { data: { session, count, kind } })
  return { ...visited, fill, cdp: await visited.context.newCDPSession(visited.page) }
}

/** Bytes that are still used after everything that can be freed was. */
async function heap(cdp: CDPSession): Promise<number> {
  await cdp.send('HeapProfiler.enable')
  await cdp.send('HeapProfiler.collectGarbage')
  await cdp.send('Performance.enable')
  const { metrics } = await cdp.send('Performance.getMetrics')
  return metrics.find(({ name }) => name === 'JSHeapUsedSize')?.value ?? Number.NaN
}

const feedOf = (page: Page) => page.getByRole('log', { name: 'Conversation' })

/** Scrolls from where it is to the other end and tells every entry in the order in which it was met, each once. */
function walk(page: Page, way: 'up' | 'down') {
  return feedOf(page).evaluate(async (feed, way) => {
    const met: number[] = []
    const known = new Set<number>()
    let most = 0
    let still = 0
    while (still < 30) {
      const ids = [...feed.querySelectorAll('article')].map((each) => Number(each.id.slice(1)))
      if (ids.some((id, index) => index > 0 && id <= (ids[index - 1] ?? 0)))
        throw new Error(`out of order: ${ids.join(' ')}`)
      const fresh = ids.filter((id) => !known.has(id))
      for (const id of way === 'up' ? fresh.reverse() : fresh) met.push(id)
      for (const id of fresh) known.add(id)
      most = Math.max(most, document.querySelectorAll('*').length)
      const before = feed.scrollTop
      feed.scrollTop += (way === 'up' ? -0.8 : 0.8) * feed.clientHeight
      await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
      // What is fetched comes a moment later.
      still = feed.scrollTop === before && fresh.length === 0 ? still + 1 : 0
      if (still > 0) await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return { met, most }
  }, way)
}

const counted = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** How many events a session has. */
const lastEvent = (page: Page, session: number) =>
  page.evaluate(async (session) => {
    const answer = await fetch('/graphql', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Runyard': '1' },
      body: JSON.stringify({ query: `{ session(number: ${session}) { lastEvent } }` }),
    })
    return Number((await answer.json()).data.session.lastEvent)
  }, session)

/** Counts how often something moved that one looks at without having done anything. */
const watchShifts = (page: Page) =>
  page.addInitScript(() => {
    const seen = Object.assign(window, { shifts: [] as string[] })
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        const { sources } = entry as PerformanceEntry & {
          sources: { node?: Node; previousRect: DOMRect; currentRect: DOMRect }[]
        }
        for (const { node, previousRect: was, currentRect: is } of sources) {
          const name = node instanceof Element ? `${node.tagName}.${node.className}` : (node?.nodeName ?? '')
          seen.shifts.push(`${name} ${was.x},${was.y} to ${is.x},${is.y}: ${node?.textContent?.slice(0, 60)}`)
        }
      }
    }).observe({ type: 'layout-shift' })
  })

const shiftsOf = (page: Page) =>
  page.evaluate(() => (window as unknown as { shifts: string[] }).shifts.splice(0))

describe.skipIf(!scripted)('a session of ten thousand events', () => {
  it('shows every entry once and in order from the end to the beginning, and back', {
    timeout: 240_000,
  }, async () => {
    const { context, page, fill, troubles } = await enter()
    await page.goto('/r/38')
    await feedOf(page).getByText('Good: it stays.').waitFor()
    const before = await lastEvent(page, 38)
    await fill(38, 10_000, 'messages')
    await page.reload()
    await feedOf(page).getByText('message 10000', { exact: true }).waitFor()
    // One event begins the run; each other one is an entry.
    const filled = counted(before + 2, before + 10_001)
    const up = await walk(page, 'up')
    expect(up.met.filter((id) => id > before).reverse()).toEqual(filled)
    expect(up.met.at(-1)).toBe(1)
    expect(up.most).toBeLessThan(MOST_NODES)
    const down = await walk(page, 'down')
    expect(down.met.filter((id) => id > before)).toEqual(filled)
    expect(down.most).toBeLessThan(MOST_NODES)

    // A link leads into the middle, and the keys lead to both ends.
    await page.goto(`/r/38?at=${before + 5_001}`)
    await feedOf(page).getByText('message 5000', { exact: true }).waitFor()
    const marked = await feedOf(page).locator('article.marked').boundingBox()
    expect(marked?.y).toBeGreaterThan(100)
    expect(marked?.y).toBeLessThan(700)
    await page.keyboard.press('g')
    await page.keyboard.press('e')
    await feedOf(page).getByText('message 10000', { exact: true }).waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('b')
    await feedOf(page).locator('#e1').waitFor()
    await page.getByRole('button', { name: 'Newest' }).click()
    await feedOf(page).getByText('message 10000', { exact: true }).waitFor()
    expect(troubles).toEqual([])
    await context.close()
  })

  it('is looked through on the server, and every event of it is in the log', async () => {
    const { context, page, fill, troubles } = await enter()
    await fill(38, 10_000, 'messages')
    await page.goto('/r/38?tab=log')
    const all = await lastEvent(page, 38)
    await page.getByText(`${all} of ${all}`, { exact: true }).waitFor()
    const events = page.getByRole('region', { name: 'Events' })
    const at = (line: number) => events.evaluate((box, top) => box.scrollTo({ top }), line * 26)
    for (const number of [5_000, 9_990, 1_200]) {
      await at(number - 5)
      await events.getByText(String(number), { exact: true }).waitFor()
    }
    await page.keyboard.press('/')
    await page.keyboard.type('Message 7777')
    await page.getByText(`1 of ${all}`, { exact: true }).waitFor()
    await events.getByRole('button', { name: /message 7777/ }).click()
    await events.getByRole('link', { name: 'Show in the conversation' }).click()
    await feedOf(page).getByText('message 7777', { exact: true }).waitFor()
    expect(troubles).toEqual([])
    await context.close()
  })

  it('moves nothing that one looks at while text streams', async () => {
    const { context, page, fill, troubles } = await enter()
    await watchShifts(page)
    await fill(38, 1_000, 'messages')
    await page.goto('/r/38')
    const feed = feedOf(page)
    await feed.getByText('message 1000', { exact: true }).waitFor()
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)))
    await shiftsOf(page)

    // At the end: the newest line is in sight the whole time.
    for (let piece = 0; piece < 40; piece++) await fill(38, 25, 'text')
    await feed
      .getByText(/word25/)
      .last()
      .waitFor()
    const gap = await feed.evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight)
    expect(Math.abs(gap)).toBeLessThan(2)
    expect(await shiftsOf(page)).toEqual([])

    // Further up: what one reads stays where it is.
    await feed.hover()
    await page.mouse.wheel(0, -3_000)
    await page.getByRole('button', { name: 'Newest' }).waitFor()
    await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 300)))
    await shiftsOf(page)
    const places = () =>
      feed.evaluate((box) =>
        [...box.querySelectorAll('article')].map((each) => `${each.id} ${each.getBoundingClientRect().top}`),
      )
    const before = await places()
    for (let piece = 0; piece < 40; piece++) await fill(38, 25, 'text')
    await fill(38, 20, 'messages')
    await page.getByRole('button', { name: /\d+ new/ }).waitFor()
    expect(await places()).toEqual(before)
    expect(await shiftsOf(page)).toEqual([])
    expect(troubles).toEqual([])
    await context.close()
  })
})

describe.skipIf(!scripted)('a hundred megabytes', () => {
  it('of what a process wrote stay on the server but for the part that one looks at', async () => {
    const { context, page, fill, cdp, troubles } = await enter()
    await page.goto('/r/38')
    await feedOf(page).getByText('Good: it stays.').waitFor()
    const empty = await heap(cdp)
    await fill(38, 100 << 20, 'output')
    await feedOf(page).getByText('everything').click()
    const output = feedOf(page).getByRole('region', { name: 'Output' })
    await output.getByText('100.0 MiB of 100.0 MiB').waitFor()
    await output.getByText(String((100 << 20) / 64 - 1).padStart(9, '0')).waitFor()
    await output.getByRole('button', { name: 'Beginning' }).click()
    await output.getByText('000000000').waitFor()
    for (let part = 1; part <= 20; part++) {
      await output.getByRole('button', { name: 'Later' }).click()
      await output.getByText(String(part * 512).padStart(9, '0')).waitFor()
    }
    await output.getByRole('button', { name: 'Earlier' }).click()
    await output.getByText(String(19 * 512).padStart(9, '0')).waitFor()
    expect(await page.evaluate(() => document.querySelectorAll('*').length)).toBeLessThan(MOST_NODES)
    expect((await heap(cdp)) - empty).toBeLessThan(MOST_HEAP)
    expect(troubles).toEqual([])
    await context.close()
  })

  it('of what tools gave back are let go again while one goes through all of them', {
    timeout: 240_000,
  }, async () => {
    const { context, page, fill, cdp, troubles } = await enter()
    await page.goto('/r/38')
    await feedOf(page).getByText('Good: it stays.').waitFor()
    const empty = await heap(cdp)
    // 6,400 calls with 16 KiB each.
    await fill(38, 12_800, 'calls')
    await page.reload()
    await feedOf(page).getByText('call 12799').waitFor()
    const { met, most } = await walk(page, 'up')
    expect(met.at(-1)).toBe(1)
    expect(met.length).toBeGreaterThanOrEqual(6_400)
    expect(most).toBeLessThan(MOST_NODES)
    expect((await heap(cdp)) - empty).toBeLessThan(MOST_HEAP)
    expect(troubles).toEqual([])
    await context.close()
  })
})
