import path from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launch, OUT, type Server, signIn, startServer, visit } from './harness'

describe('the playground', () => {
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

  for (const dark of [false, true]) {
    it(`answers as whoever is signed in, and shows the schema: ${dark ? 'dark' : 'light'}`, async () => {
      const { context, page, troubles } = await visit(browser, server, { dark })
      await page.goto('/playground')
      await page.waitForURL('**/sign-in?next=%2Fplayground')
      await signIn(page)
      await page.goto('/settings/tokens')
      await page.getByRole('link', { name: 'Try the API out' }).click()
      await page.waitForURL('**/playground')
      await page.getByText('query Recent').waitFor()
      await page.getByRole('button', { name: /^Execute query/ }).click()
      await page.getByText('"viewer"').first().waitFor()
      await page.getByRole('button', { name: 'Show Documentation Explorer' }).click()
      await page.getByRole('link', { name: 'Query', exact: true }).first().click()
      await page.getByText('Who asks, and where.').first().waitFor()
      await page.screenshot({ path: path.join(OUT, `playground-${dark ? 'dark' : 'light'}.png`) })
      await context.close()
      expect(troubles).toEqual([])
    }, 60_000)
  }
})
