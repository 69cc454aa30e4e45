import { spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'

export const OUT = path.join(import.meta.dirname, 'out')

/** Who may sign in: the mock's people, or those that were made on the real server. */
export const ADA = {
  email: process.env.RUNYARD_EMAIL ?? 'ada@example.com',
  password: process.env.RUNYARD_PASSWORD ?? 'correct horse battery',
}
export const GRACE = { email: 'grace@example.com', password: 'correct horse battery' }

export interface Server {
  url: string
  close: () => Promise<void>
}

/** The real server when `RUNYARD_URL` names one, else a mock of its own on a free port. */
export async function startServer(
  options: { pace?: number; empty?: boolean; firstAdmin?: boolean; provider?: string; mock?: boolean } = {},
): Promise<Server> {
  const url = process.env.RUNYARD_URL
  if (url && !options.mock) return { url, close: async () => {} }
  const mock = spawn(process.execPath, [path.join(import.meta.dirname, '../mock/main.mjs')], {
    env: {
      ...process.env,
      PORT: '0',
      MOCK_PACE: String(options.pace ?? 4),
      MOCK_EMPTY: options.empty ? '1' : '',
      MOCK_FIRST: options.firstAdmin ? '1' : '',
      MOCK_PROVIDER: options.provider ?? '',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const address = await new Promise<string>((resolve, reject) => {
    mock.stdout.on('data', (line) => resolve(String(line).replace('listening ', '').trim()))
    mock.once('exit', (code) => reject(new Error(`the mock ended with ${code} before it listened`)))
  })
  return {
    url: address,
    close: async () => {
      const ended = new Promise((resolve) => mock.once('exit', resolve))
      mock.kill()
      await ended
    },
  }
}

/** True against the mock: some stories need a session that plays by its script. */
export const scripted = process.env.RUNYARD_URL === undefined

export function launch(): Promise<Browser> {
  mkdirSync(OUT, { recursive: true })
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--font-render-hinting=none'],
  })
}

export interface Visit {
  context: BrowserContext
  page: Page
  /** Every console error, unhandled rejection, refused content and request to elsewhere so far. */
  troubles: string[]
}

export interface Device {
  width?: number
  height?: number
  dark?: boolean
  phone?: boolean
}

/** A browser of one person, watched for everything that must not happen. */
export async function visit(
  browser: Browser,
  server: Pick<Server, 'url'>,
  device: Device = {},
): Promise<Visit> {
  const context = await browser.newContext({
    baseURL: server.url,
    locale: 'en-US',
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
    colorScheme: device.dark ? 'dark' : 'light',
    viewport: { width: device.width ?? 1440, height: device.height ?? 900 },
    hasTouch: device.phone ?? false,
    isMobile: device.phone ?? false,
  })
  const page = await context.newPage()
  const troubles: string[] = []
  page.on('console', (message) => {
    // A refused sign-in is an answer with status 401, which the browser logs by itself.
    const expected =
      /status of 4\d\d/.test(message.text()) ||
      /ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED|WebSocket connection/.test(message.text())
    if (message.type() === 'error' && !expected) troubles.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => troubles.push(`error: ${error.message}`))
  page.on('dialog', (dialog) => {
    troubles.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(server.url) && !request.url().startsWith('data:'))
      troubles.push(`request to elsewhere: ${request.url()}`)
  })
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`content policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`)
    })
  })
  return { context, page, troubles }
}

export async function signIn(page: Page, who = ADA) {
  await page.goto('/sign-in')
  await page.getByLabel('Mail address').fill(who.email)
  await page.getByLabel('Password').fill(who.password)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('heading', { name: /What do you want changed/ }).waitFor()
}
