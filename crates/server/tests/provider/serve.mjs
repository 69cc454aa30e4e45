// A real OpenID provider (oidc-provider) on this machine, for the tests of signing in.
//
// It says where it is, then reads what it shall know, one line of JSON: its clients, and its people by name.

import { createServer } from 'node:http'
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const module = join(process.env.RUNYARD_OIDC_PROVIDER, 'oidc-provider/lib/index.js')
const { default: Provider } = await import(pathToFileURL(module).href)

const server = createServer()
await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
const issuer = `http://127.0.0.1:${server.address().port}`
console.log(JSON.stringify({ issuer }))

const lines = createInterface({ input: process.stdin })
const { clients, people } = JSON.parse((await lines[Symbol.asyncIterator]().next()).value)
const provider = new Provider(issuer, {
  clients,
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  cookies: { keys: ['signed by a test'] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  pkce: { required: () => true },
})
server.on('request', provider.callback())
console.log(JSON.stringify({ ready: true }))
// Whoever started this holds its input open.
lines.on('close', () => process.exit(0))
