/** The people of a house, each in a browser of their own. */

import type { Browser, Page } from 'playwright-core'
import { type Visit, visit } from '../harness'
import { type House, LIMIT } from './house'

/** Comes in by a link that somebody handed over. */
async function join(page: Page, link: string, name: string, email?: string) {
  await page.goto(link)
  await page.getByLabel('Your name').fill(name)
  if (email) await page.getByLabel('Mail address').fill(email)
  await page.getByLabel('Password').fill('correct horse battery')
  await page.getByRole('button', { name: 'Create account' }).click()
  await page.getByRole('heading', { name: /What do you want changed/ }).waitFor()
}

/** Ada, who came by the server's first link, and Grace, whom she invited. */
export async function gather(browser: Browser, house: House): Promise<{ ada: Visit; grace: Visit }> {
  const person = async () => {
    const made = await visit(browser, house)
    made.page.setDefaultTimeout(LIMIT)
    return made
  }
  const ada = await person()
  await join(ada.page, `${house.url}${await house.welcome()}`, 'Ada Lovelace', 'ada@example.com')
  await ada.page.goto('/settings/people')
  await ada.page.getByLabel('Mail address').fill('grace@example.com')
  await ada.page.getByRole('button', { name: 'Invite', exact: true }).click()
  const link = (await ada.page.getByRole('dialog').locator('.secret .grow').textContent()) ?? ''
  const grace = await person()
  await join(grace.page, link, 'Grace Hopper')
  return { ada, grace }
}

/** Makes the house's repository known, at Home, where a request can be written then. */
export async function connect(page: Page, house: House) {
  await page.goto('/')
  await page
    .getByRole('button', { name: /repository/i })
    .first()
    .click()
  await page.getByRole('dialog').getByLabel('Path').fill(house.repository)
  await page.getByRole('dialog').getByRole('button', { name: 'Add repository' }).click()
  await page.getByText('shop is connected.').waitFor()
}
