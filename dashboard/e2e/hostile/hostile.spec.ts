import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LogEvent } from '../../src/features/session/events'
import { launch, type Server, signIn, startServer, visit } from '../harness'
import { CORPUS } from './corpus'
import { logOf, planted } from './plant'

let server: Server
let browser: Browser

beforeAll(async () => {
  // Always the mock: what an answer holds is put in on its way to the page.
  server = await startServer({ mock: true })
  browser = await launch()
})

afterAll(async () => {
  await browser?.close()
  await server?.close()
})

/** Between the server and the page, as if the record held these texts everywhere. */
async function plant(page: Page, vectors: readonly string[], only?: (text: string) => LogEvent[]) {
  await page.route('**/graphql', async (route) => {
    const { query, variables } = route.request().postDataJSON()
    // The page asks with names that were planted; the mock knows the old ones.
    if (variables?.repository !== undefined) Object.assign(variables, { repository: 'backend', number: 17 })
    if (variables?.version !== undefined) variables.version = 1
    const response = await route.fetch({ postData: JSON.stringify({ query, variables }) })
    const answer = (await response.json()) as {
      data?: { session?: { events?: unknown; lastEvent?: number }; viewer?: unknown }
    }
    const all = only ? only(vectors[0] ?? '') : logOf(vectors, 'person')
    if (/^\s*query Newest/.test(query)) answer.data = { session: { lastEvent: all.length } }
    else if (answer.data?.session?.events) {
      const to = Number(variables.after) + Number(variables.first)
      const nodes = all.slice(Number(variables.after), to)
      answer.data.session.events = { nodes, hasMore: to < all.length }
    } else if (!only) answer.data = planted(answer.data, vectors) as typeof answer.data
    await route.fulfill({ response, json: answer })
  })
}

/** Everything on the page that must not be there. */
function findings(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const found: string[] = []
    const say = (what: string, of: string) => found.push(`${what}: ${of.slice(0, 160)}`)
    if ('hit' in window) say('a script ran', '')
    const forbidden =
      'script:not([src^="/assets/"]), iframe, frame, object, embed, style, base, img:not(.cm-editor .cm-widgetBuffer), picture, video, audio, source, track, math, template, noscript:not(body > noscript), portal, form[action], [formaction], [srcdoc], [srcset], [background], [popover], svg:not(.lucide, .state > svg)'
    const unseen =
      /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u00AD\u061C\u200B\u200E\u200F\u202A-\u202E\u2028\u2029\u2060-\u206F\uFEFF\u3164\uFFA0]|[\u{E0000}-\u{E0FFF}]/u
    const look = (root: Document | ShadowRoot, editor: boolean) => {
      for (const element of root.querySelectorAll('*')) {
        const inHead = element.closest('head') !== null
        if (!inHead && element.matches(forbidden) && !element.closest('.brand'))
          say('element', element.outerHTML)
        for (const { name, value } of element.attributes) {
          if (name.startsWith('on')) say('handler', element.outerHTML)
          if (name === 'style' && /url|import|expression|fixed/i.test(value)) say('style', value)
          if ((name === 'href' || name === 'xlink:href') && !inHead) {
            const inside = /^(\/(?![/\\])|#|\?)/.test(value)
            const outside = /^(https?:\/\/|mailto:)/i.test(value)
            if (!inside && !outside) say('address', value)
            if (outside && !/noopener/.test(element.getAttribute('rel') ?? ''))
              say('opener', element.outerHTML)
          }
          if ((name === 'id' || name === 'name') && !inHead)
            if (
              /^(location|cookie|body|documentElement|getElementById|forms|activeElement|hit|attributes)$/.test(
                value,
              )
            )
              say('clobbers', element.outerHTML)
          if (/^(title|aria-label|alt|placeholder)$/.test(name) && unseen.test(value))
            say(`unseen in ${name}`, JSON.stringify(value))
        }
        if (element.shadowRoot) look(element.shadowRoot, true)
      }
      if (editor) return
      const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
      for (let node = texts.nextNode(); node; node = texts.nextNode())
        if (unseen.test(node.nodeValue ?? ''))
          say(`unseen in <${node.parentElement?.outerHTML.slice(1, 60)}`, JSON.stringify(node.nodeValue))
    }
    look(document, false)
    if (document.getElementById('root')?.parentElement !== document.body) say('clobbers', 'root')
    return [...new Set(found)].slice(0, 20)
  })
}

const VIEWS: readonly [address: string, ready: string][] = [
  ['/r/42?tab=talk', '.feed article'],
  ['/r/42?tab=steps', '.step'],
  ['/r/42?tab=markdown', '.editor'],
  ['/r/42?tab=changes', '.diff'],
  ['/r/42?tab=log', '.event'],
  ['/', '.ask'],
  ['/settings/me', 'main'],
  ['/settings/people', 'table'],
  ['/settings/tokens', 'main'],
  ['/settings/context', 'table'],
  ['/settings/personas', 'table'],
]

/** Opens all that is folded. */
async function unfold(page: Page) {
  await page.evaluate(async () => {
    const frame = () => new Promise(requestAnimationFrame)
    for (const details of document.querySelectorAll('details')) details.open = true
    for (const button of document.querySelectorAll<HTMLElement>('.event > button')) {
      button.click()
      await frame()
    }
    await frame()
  })
}

/** Looks at every part of the conversation, since only what is in sight is in the page; how many entries there were. */
async function wholeOf(page: Page, look: () => Promise<void>): Promise<number> {
  const box = page.locator('.feed')
  if ((await box.count()) === 0) {
    await look()
    return 0
  }
  await page.setViewportSize({ width: 850, height: 4_000 })
  const met = new Set<string>()
  await box.evaluate((box) => box.scrollTo({ top: 0 }))
  for (;;) {
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))))
    await look()
    for (const id of await box.locator('article').evaluateAll((all) => all.map(({ id }) => id))) met.add(id)
    const isEnd = await box.evaluate((box) => {
      const before = box.scrollTop
      box.scrollTop += box.clientHeight * 0.8
      return box.scrollTop === before
    })
    if (isEnd) break
  }
  await page.setViewportSize({ width: 850, height: 900 })
  return met.size
}

const CHUNK = 12

describe('what an enemy writes', () => {
  it('is a corpus of some size', () => {
    expect(CORPUS.length).toBeGreaterThanOrEqual(250)
  })

  for (let from = 0; from < CORPUS.length; from += CHUNK)
    it(`runs nothing, fetches nothing and hides nothing in any field: from ${from}`, {
      timeout: 120_000,
    }, async () => {
      const { context, page, troubles } = await visit(browser, server, { width: 850 })
      page.on('request', (request) => {
        if (request.url().includes('canary')) troubles.push(`fetched: ${request.url()}`)
      })
      await signIn(page)
      await plant(page, CORPUS.slice(from, from + CHUNK))
      page.setDefaultTimeout(15_000)
      const all: string[] = []
      let entries = 0
      for (const [address, ready] of VIEWS) {
        await page.goto(address)
        await page
          .locator(ready)
          .first()
          .waitFor()
          .catch(async (cause) => {
            const seen = ((await page.locator('body').textContent()) ?? '').slice(0, 500)
            throw new Error(`${address} is not drawn: ${seen}\n${troubles.join('\n')}`, { cause })
          })
        const seen = await wholeOf(page, async () => {
          await unfold(page)
          for (const finding of await findings(page)) all.push(`${address} ${finding}`)
        })
        if (address.endsWith('talk')) entries = seen
      }
      // Each vector is written in more than eight places of the conversation.
      expect(entries).toBeGreaterThan(8 * CORPUS.slice(from, from + CHUNK).length)
      await page.keyboard.press('Control+k')
      await page.getByRole('combobox', { name: 'Search sessions and commands' }).waitFor()
      for (const finding of await findings(page)) all.push(`palette ${finding}`)
      await context.close()
      expect(all).toEqual([])
      expect(troubles).toEqual([])
    })
})
