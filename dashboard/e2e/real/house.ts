/** The real server with a real repository, and a model that follows a script: what a team would have, in one folder. */

import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'

/** How long anything may take before a test gives up on it. Generous: a slow machine is no failure. */
export const LIMIT = 45_000

const CLAUDE = '2.1.197'

/** Programs of this checkout: where `cargo build` puts them, or where `RUNYARD_PROGRAMS` says. */
function program(name: string): string {
  const folder = process.env.RUNYARD_PROGRAMS ?? path.join(import.meta.dirname, '../../../target/debug')
  const file = path.join(folder, name)
  if (!existsSync(file)) throw new Error(`no ${file}; run \`cargo build --workspace --bins\``)
  return file
}

/** Claude Code, where `cargo xtask setup` puts it. */
function claude(): string {
  const named = process.env.RUNYARD_CLAUDE
  if (named) return named
  const platform = process.arch === 'arm64' ? 'linux-arm64' : 'linux-x64'
  const inside = `runyard/claude-code/${CLAUDE}/node_modules/@anthropic-ai/claude-code-${platform}/claude`
  const own = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache')
  const places = ['/var/cache', own].map((cache) => path.join(cache, inside))
  const found = places.find((place) => existsSync(place))
  if (!found) throw new Error(`no Claude Code at ${places.join(' or ')}; run \`cargo xtask setup\``)
  return found
}

/** Asks again until the answer is there. */
export async function until<T>(what: string, ask: () => T | Promise<T>): Promise<NonNullable<T>> {
  const end = Date.now() + LIMIT
  for (;;) {
    const found = await ask()
    if (found) return found
    if (Date.now() > end) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** A program, and what it printed so far. */
class Running {
  said = ''
  private readonly child: ChildProcess
  private readonly ended: Promise<unknown>

  constructor(file: string, args: readonly string[], env: Record<string, string>) {
    // A group of its own, so that a kill reaches all of it and nothing else.
    this.child = spawn(file, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    this.ended = new Promise((resolve) => this.child.once('exit', resolve))
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (text) => {
        this.said += String(text)
      })
  }

  says(pattern: RegExp): Promise<RegExpExecArray> {
    return until(`it says ${pattern}, but: ${this.said}`, () => {
      if (this.child.exitCode !== null) throw new Error(`it ended with ${this.child.exitCode}: ${this.said}`)
      return pattern.exec(this.said)
    })
  }

  /** Ends at once, as by a crash. */
  async kill() {
    if (this.child.pid !== undefined && this.child.exitCode === null && this.child.signalCode === null)
      process.kill(-this.child.pid, 'SIGKILL')
    await this.ended
    // A sandbox outlives its server on purpose, and may hold these.
    this.child.stdout?.destroy()
    this.child.stderr?.destroy()
  }
}

const KEY = 'sk-ant-test-key-made-up'

export class House {
  readonly place: string
  repository: string
  url = ''
  private model: Running | undefined
  private server: Running | undefined
  private base = ''

  constructor(files: Record<string, string>) {
    this.place = mkdtempSync(path.join(tmpdir(), 'runyard-page-'))
    // The users of sandboxes may pass through it and look at nothing in it.
    chmodSync(this.place, 0o711)
    this.repository = path.join(this.place, 'work')
    mkdirSync(this.repository)
    this.git('init', '--quiet', '--initial-branch=main')
    for (const [name, text] of Object.entries(files)) writeFileSync(path.join(this.repository, name), text)
    this.git('add', '--all')
    this.git('commit', '--quiet', '--message', 'Begin')
    // Nothing is checked out of it, so that its main branch can be merged into.
    const bare = path.join(this.place, 'shop')
    this.git('clone', '--quiet', '--bare', '.', bare)
    this.repository = bare
  }

  git(...args: string[]): string {
    const own = ['-c', 'user.name=Ada', '-c', 'user.email=ada@example.com', ...args]
    const env = { PATH: process.env.PATH ?? '', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
    return execFileSync('git', own, { cwd: this.repository, env, encoding: 'utf8' })
  }

  async start(script: unknown) {
    const file = path.join(this.place, 'model.yaml')
    // JSON is YAML too.
    writeFileSync(file, JSON.stringify(script))
    this.model = new Running(program('scripted-model'), ['--script', file], { PATH: process.env.PATH ?? '' })
    this.base = (await this.model.says(/listening (\S+)/))[1] ?? ''
    await this.serve('127.0.0.1:0')
  }

  /** Starts the server; gives the link of the first admin when it prints one. */
  private async serve(listen: string) {
    this.server = new Running(program('runyard'), ['serve'], {
      PATH: process.env.PATH ?? '',
      HOME: this.place,
      LANG: 'C.UTF-8',
      RUNYARD_DATA_DIR: path.join(this.place, 'data'),
      RUNYARD_SECRETS_KEYRING: path.join(this.place, 'keys/keyring'),
      RUNYARD_LISTEN: listen,
      RUNYARD_AGENT_CLAUDE: claude(),
      RUNYARD_USER_NAME: 'Ada',
      RUNYARD_USER_EMAIL: 'ada@example.com',
      // A dead server is noticed in a time that a test can wait for.
      RUNYARD_LEASE_BEAT: '500ms',
      RUNYARD_LEASE_PATIENCE: '3s',
      RUNYARD_RETRY_FIRST: '100ms',
      ANTHROPIC_BASE_URL: this.base,
      ANTHROPIC_API_KEY: KEY,
    })
    this.url = ((await this.server.says(/listening at (http:\/\/\S+?)\/?\s/))[1] ?? '').replace(/\/$/, '')
  }

  /** The path of the link by which the first admin comes in. */
  async welcome(): Promise<string> {
    return (await this.server?.says(/(\/welcome\/\S+)/))?.[1] ?? ''
  }

  crash(): Promise<void> {
    return this.server?.kill() ?? Promise.resolve()
  }

  /** Another server on the same data and at the same address. */
  again(): Promise<void> {
    return this.serve(new URL(this.url).host)
  }

  async close() {
    await this.server?.kill()
    await this.model?.kill()
    rmSync(this.place, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** One message of the model. */
export const turn = (say: string, ...tools: unknown[]) => (tools.length > 0 ? { say, tools } : { say })

export const write = (file: string, content: string) => ({
  name: 'Write',
  input: { file_path: `/code/${file}`, content },
})

export const submit = (runbook: string) => ({ name: 'mcp__runyard__submit_plan', input: { runbook } })

export const ask = (question: string, ...labels: string[]) => ({
  name: 'AskUserQuestion',
  input: {
    questions: [
      {
        question,
        header: 'Choice',
        options: labels.map((label) => ({ label, description: `Use ${label}` })),
        multiSelect: false,
      },
    ],
  },
})
