import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import path from 'node:path'
import { buildSchema, execute, graphql, subscribe } from 'graphql'
import { useServer as serveSockets } from 'graphql-ws/use/ws'
import { WebSocketServer } from 'ws'
import { api } from './api.mjs'
import { World } from './world.mjs'

const here = import.meta.dirname
export const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
/** The playground's editor writes its own style sheets and brings its letters along. */
const PLAYGROUND_POLICY = POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'").replace(
  "font-src 'self'",
  "font-src 'self' data:",
)
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.ttf': 'font/ttf',
}

async function bodyOf(request) {
  let text = ''
  for await (const chunk of request) text += chunk
  return text ? JSON.parse(text) : {}
}

/** Serves `dist` and the contract, as the real server does; resolves to its address and a way to end it. */
export async function serve({
  port = 0,
  pace = 15,
  empty = false,
  firstAdmin = false,
  provider = null,
} = {}) {
  const schema = buildSchema(await readFile(path.join(here, '../../docs/schema.graphql'), 'utf8'))
  let world = new World({ pace, empty })
  await world.ready

  const signInOf = (request) => world.signIns.get(/runyard=([\w-]+)/.exec(request.headers.cookie ?? '')?.[1])
  const contextOf = (signIn) => ({ me: signIn.person, signIn: signIn.id })

  const answer = (response, status, body, headers = {}) => {
    response.writeHead(status, {
      'Content-Type': 'application/json',
      'Cache-Control': 'no-store',
      ...headers,
    })
    response.end(body === undefined ? '' : JSON.stringify(body))
  }
  const enter = (response, request, person, told) => {
    const cookie = randomUUID()
    const agent = request.headers['user-agent'] ?? ''
    world.signIns.set(cookie, {
      id: randomUUID(),
      person,
      agent,
      createdAt: world.in(0),
      usedAt: world.in(0),
    })
    answer(response, told ? 200 : 204, told, {
      'Set-Cookie': `runyard=${cookie}; HttpOnly; SameSite=Strict; Path=/`,
    })
  }

  async function auth(request, response, where) {
    const link = /^\/auth\/link\/(.+)$/.exec(where)?.[1]
    if (where === '/auth/state')
      return answer(response, 200, { signedIn: !!signInOf(request), firstAdmin, password: true, provider })
    if (request.method === 'POST' && request.headers['x-runyard'] !== '1')
      return answer(response, 403, { error: 'forbidden', message: 'Only the page may do that.' })
    if (link && !world.links.has(link))
      return answer(response, 404, {
        error: 'link-expired',
        message: 'This link was used already or is too old.',
      })
    if (link && request.method === 'GET') return answer(response, 200, world.links.get(link))
    const body = await bodyOf(request)
    if (where === '/auth/sign-in') {
      const person = world.people.find((each) => each.email === body.email && each.active)
      if (person && world.passwords.get(person.id) === body.password) return enter(response, request, person)
      return answer(response, 401, {
        error: 'bad-credentials',
        message: 'That address and password do not belong together.',
      })
    }
    // The provider knows Ada, and sends her straight back.
    if (where === '/auth/oidc') return enter(response, request, world.people[0], { url: body.next ?? '/' })
    if (where === '/auth/sign-out') {
      for (const [cookie, each] of world.signIns) if (each === signInOf(request)) world.signIns.delete(cookie)
      return answer(response, 204, undefined, { 'Set-Cookie': 'runyard=; Max-Age=0; Path=/' })
    }
    if (link) {
      if ((body.password ?? '').length < 10)
        return answer(response, 400, {
          error: 'bad-request',
          message: 'a password needs at least 10 characters',
          field: 'password',
        })
      const { email, role } = world.links.get(link)
      const address = email || body.email
      let person = world.people.find((each) => each.email === address)
      if (!person) {
        person = {
          id: randomUUID(),
          name: body.name,
          email: address,
          role: role.toUpperCase(),
          active: true,
          hasPassword: true,
        }
        world.people.push(person)
      }
      world.passwords.set(person.id, body.password)
      world.links.delete(link)
      return enter(response, request, person)
    }
    answer(response, 404, { error: 'not-found', message: 'There is nothing here.' })
  }

  async function page(response, where) {
    const playground = where === '/playground'
    const file = where.startsWith('/assets/') ? where : playground ? '/playground.html' : '/index.html'
    try {
      const bytes = await readFile(path.join(here, '../dist', path.normalize(file)))
      const type = TYPES[path.extname(file)] ?? 'application/octet-stream'
      response.writeHead(200, {
        'Content-Type': type,
        'Content-Security-Policy': playground ? PLAYGROUND_POLICY : POLICY,
        'X-Content-Type-Options': 'nosniff',
      })
      response.end(bytes)
    } catch {
      answer(response, 404, { error: 'not-found', message: `There is no ${file}; was the page built?` })
    }
  }

  const server = createServer(async (request, response) => {
    const where = new URL(request.url, 'http://mock').pathname
    try {
      if (where === '/graphql') {
        const signIn = signInOf(request)
        if (!signIn)
          return answer(response, 401, {
            errors: [{ message: 'You are signed out.', extensions: { code: 'UNAUTHENTICATED' } }],
          })
        const { query, variables } = await bodyOf(request)
        if (/^\s*mutation/.test(query) && request.headers['x-runyard'] !== '1')
          return answer(response, 403, {})
        return answer(
          response,
          200,
          await graphql({
            schema,
            source: query,
            variableValues: variables,
            rootValue: api(world),
            contextValue: contextOf(signIn),
          }),
        )
      }
      if (where.startsWith('/download/audit.')) {
        const csv = 'number,action\r\n70,repository.add\r\n'
        response.writeHead(200, {
          'Content-Type': 'text/csv; charset=utf-8',
          'Content-Disposition': 'attachment; filename="runyard-audit.csv"',
        })
        return response.end(csv)
      }
      if (where.startsWith('/auth/')) return await auth(request, response, where)
      // For tests: cut every connection; make a long log; begin anew.
      if (where === '/mock/drop') {
        for (const socket of sockets.clients) socket.terminate()
        return answer(response, 204)
      }
      if (where === '/mock/fill') {
        const { session, count, kind } = await bodyOf(request)
        const found = world.sessions.find((each) => each.number === session)
        if (kind === 'output') found.checks(count)
        else found.fill(count, kind)
        return answer(response, 204)
      }
      if (where === '/mock/reset') {
        const signIns = world.signIns
        world = new World({ pace, empty })
        world.url = url
        await world.ready
        // Who was signed in stays so, as the new world's person of the same address.
        for (const [cookie, each] of signIns) {
          const person = world.people.find((other) => other.email === each.person.email)
          if (person) world.signIns.set(cookie, { ...each, person })
        }
        return answer(response, 204)
      }
      await page(response, where)
    } catch (error) {
      answer(response, 500, { error: 'internal', message: String(error) })
    }
  })

  const sockets = new WebSocketServer({ server, path: '/graphql/ws' })
  serveSockets(
    {
      schema,
      roots: {},
      execute,
      subscribe: (args) => subscribe({ ...args, rootValue: api(world) }),
      context: (context) => contextOf(signInOf(context.extra.request)),
      onConnect: (context) => signInOf(context.extra.request) !== undefined,
    },
    sockets,
  )
  // A busy machine may ask again on a connection much later; one that is just being closed would fail it.
  server.keepAliveTimeout = 120_000
  await new Promise((resolve) => server.listen(port, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}`
  world.url = url
  const close = async () => {
    for (const socket of sockets.clients) socket.terminate()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  return { url, close }
}
