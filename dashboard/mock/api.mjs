import { randomUUID } from 'node:crypto'
import { GraphQLError } from 'graphql'
import { learningResolvers } from './learnings.mjs'
import { DIFF, lint } from './texts.mjs'

const refuse = (code, message, more = {}) => new GraphQLError(message, { extensions: { code, ...more } })

const lineOf = (session) => {
  const leaves = session.steps.filter((step) => step.leaf)
  const { number, title, repository, phase, cost, createdAt, archived } = session
  const completed = leaves.filter((step) => step.state === 'COMPLETED').length
  return { number, title, repository, phase, completed, total: leaves.length, cost, createdAt, archived }
}

const requestOf = ({ id, ask, askedAt }) => ({
  id,
  kind: ask.kind.toUpperCase(),
  askedAt,
  questions: (ask.questions ?? []).map(({ multi_select, ...each }) => ({
    ...each,
    multiSelect: multi_select,
  })),
  tool: ask.tool ?? null,
  input: ask.input ?? null,
  why: ask.reason ?? null,
  options: ask.options ?? [],
})

const strings = (value) =>
  typeof value === 'string'
    ? [value]
    : value && typeof value === 'object'
      ? Object.values(value).flatMap(strings)
      : []

const matches = ({ kind, payload }, wanted) =>
  (!wanted.kind || kind === wanted.kind) &&
  (!wanted.run || payload.run === wanted.run) &&
  (!wanted.text || strings(payload).some((text) => text.toLowerCase().includes(wanted.text.toLowerCase())))

/** Numbered lines of 64 bytes each, as many as the process wrote: nothing of it is kept. */
function outputOf(session, exec, from, most) {
  const size = session.outputs.get(exec)
  if (size === undefined) throw refuse('NOT_FOUND', `r/${session.number} has no exec ${exec}.`)
  const [begin, to] = [Math.floor(from / 64), Math.min(size, Math.floor((from + most) / 64) * 64) / 64]
  const line = (n) =>
    `${`${n}`.padStart(9, '0')} ${'·-'.repeat(17)}`.slice(0, 46).padEnd(46, '-').concat('\n')
  const text = Array.from({ length: Math.max(0, to - begin) }, (_, index) => line(begin + index)).join('')
  return { text, from: begin * 64, to: to * 64, size }
}

const STATES = ['waiting', 'planning', 'executing', 'working', 'queued', 'planned', 'failed', 'completed']

function searched(text) {
  const words = (text.match(/[^\s"]*"[^"]*"?|[^\s"]+/g) ?? []).map((word) =>
    word.replaceAll('"', '').toLowerCase(),
  )
  for (const word of words)
    if (word.startsWith('state:') && !STATES.includes(word.slice(6)))
      throw refuse('BAD_REQUEST', `no session can be \`${word.slice(6)}\``, {
        mend: `\`state:\` takes one of: ${STATES.join(', ')}`,
      })
  const has = (session, word) => {
    const [key, value] = word.split(':')
    if (key === 'state') return session.phase.kind.toLowerCase() === value
    if (key === 'repo') return session.repository.includes(value)
    if (key === 'author') return session.requester.name.toLowerCase().includes(value)
    return `${session.title} ${session.prompt}`.toLowerCase().includes(word)
  }
  return (session) => words.every((word) => has(session, word))
}

const viewOf = (session) => ({
  ...session,
  lastEvent: session.lastEvent,
  usage: { input: 12_400, output: 3_100, cacheRead: 88_000, cacheWrite: 9_000, cost: session.cost },
  runbook: ({ version }) => (version ? session.versions[version - 1] : session.versions.at(-1)) ?? null,
  steps: session.steps,
  openRequests: session.requests.map(requestOf),
  events: ({ after, first, matching }) => {
    const wanted = session.log.slice(after).filter((event) => matches(event, matching ?? {}))
    const nodes = wanted.slice(0, first)
    const hasMore = wanted.length > first
    return { nodes, hasMore, reached: hasMore ? nodes.at(-1).number : Math.max(after, session.log.length) }
  },
  output: ({ exec, from, most }) => outputOf(session, exec, from, most),
  diff: DIFF,
})

function pullOf(world, repository, number) {
  const found = world.pulls.get(`${repository} ${number}`)
  if (!found) return null
  const { session, change, comments, threads } = found
  return {
    number,
    repository,
    session: session.number,
    title: change.title,
    body: `Part of r/${session.number}.\n\n- the builder replaces three constructors`,
    base: change.baseBranch,
    head: change.branch,
    headCommit: change.head,
    state: change.state,
    labels: session.labels,
    author: 'Runyard',
    createdAt: session.createdAt,
    steps: change.steps,
    commits: [{ id: change.head, subject: change.title }],
    comments,
    threads,
    checks: [
      { name: 'tests', passed: true, summary: '12 passed in 2.3 s' },
      { name: 'format', passed: false, summary: 'src/client.rs needs formatting' },
    ],
    diff: DIFF,
  }
}

/** The root of the contract's schema for a world. Every function gets (arguments, {me, signIn}). */
export function api(world) {
  const find = (number) => {
    const session = world.sessions.find((each) => each.number === number)
    if (!session) throw refuse('NOT_FOUND', `There is no session r/${number}.`)
    return session
  }
  const view = (session) => viewOf(session)
  const admin = (me) => {
    if (me.role !== 'ADMIN')
      throw refuse('FORBIDDEN', 'Only admins may do that.', { mend: 'Ask an admin of your account.' })
  }
  const viewer = (_, { me, signIn }) => ({
    person: me,
    account: world.account,
    role: me.role,
    version: '0.0.0-mock',
    signIns: [...world.signIns.values()]
      .filter((each) => each.person === me)
      .map((each) => ({ ...each, current: each.id === signIn })),
  })
  const edit = ({ session: number, expectedVersion, body, me }) => {
    const session = find(number)
    if (expectedVersion !== session.versions.length)
      throw refuse(
        'CONFLICT',
        `The runbook is at version ${session.versions.length}, not ${expectedVersion}.`,
        {
          mend: 'Look at what changed, then save again.',
        },
      )
    const [problem] = lint(body)
    if (problem)
      throw refuse('BAD_REQUEST', `line ${problem.line}: ${problem.message}`, { mend: problem.help })
    return session.addVersion(body, { who: 'person', user: me.id })
  }
  const replaceStep = (session, number, lines) => {
    const body = session.versions.at(-1).body.split('\n')
    const at = (line) => new RegExp(`^#{1,6} (?:Step )?${number.replaceAll('.', '\\.')}:`).test(line)
    const from = body.findIndex(at)
    const heading = body[from].match(/^#{1,6} (?:Step )?[\d.]+:/)[0]
    const next = body.findIndex((line, index) => index > from && /^#{1,6} (?:Step )?\d/.test(line))
    const replacement = lines ? [`${heading} ${lines[0]}`, ...lines.slice(1), ''] : []
    return [...body.slice(0, from), ...replacement, ...(next === -1 ? [] : body.slice(next))].join('\n')
  }
  const queued = (session, numbers) => ({ queued: numbers, session: view(session) })

  const byPriority = (files) => [...files].sort((one, other) => other.priority - one.priority)
  const hook = (id) => {
    const found = world.webhooks.find((each) => each.id === id)
    if (!found) throw refuse('NOT_FOUND', 'there is no such webhook')
    return found
  }
  const webhookOf = ({ deliveries, ...webhook }) => ({
    ...webhook,
    deliveries: ({ first, after }) => {
      const begin = after ? deliveries.findIndex((each) => each.id === after) + 1 : 0
      const nodes = deliveries.slice(begin, begin + first)
      return {
        nodes,
        edges: nodes.map((node) => ({ cursor: node.id, node })),
        pageInfo: {
          hasNextPage: deliveries.length > begin + first,
          hasPreviousPage: begin > 0,
          startCursor: nodes[0]?.id ?? null,
          endCursor: nodes.at(-1)?.id ?? null,
        },
      }
    },
  })
  const checkedHook = (input, id) => {
    const wrong = (field, why) => refuse('BAD_REQUEST', why, { field: `input.${field}` })
    if (!input.url.startsWith('https://')) throw wrong('url', 'give an https address')
    if (world.webhooks.some((each) => each.name === input.name && each.id !== id))
      throw refuse('CONFLICT', 'there is a webhook of this name already', { field: 'input.name' })
    if (input.events?.length === 0) throw wrong('events', 'choose at least one event, or all of them')
    const { name, url, active, events = null } = input
    return { name, url, active, events, changedAt: new Date().toISOString() }
  }
  const newHook = () => {
    const now = new Date().toISOString()
    return { switchedOff: null, failingSince: null, secretMadeAt: now, createdAt: now }
  }
  const secretOf = () => `whsec_${randomUUID().replaceAll('-', '')}`
  const seenPersonas = (me) => world.personas.filter((each) => each.shared || each.owner === me)
  const configures = (me) => {
    if (me.role === 'MEMBER')
      throw refuse('FORBIDDEN', 'only a maintainer may do this', { mend: 'ask an admin of the account' })
  }
  const known = (all, id, expectedVersion, what) => {
    const found = all.find((each) => each.id === id)
    if (!found) throw refuse('NOT_FOUND', 'it does not exist any more')
    if (found.version !== expectedVersion)
      throw refuse(
        'CONFLICT',
        `the ${what} is at version ${found.version} now, yours started from version ${expectedVersion}`,
        { mend: 'look at the newest version and change that' },
      )
    return found
  }
  const written = (me, version) => ({ version, changedAt: world.in(0), author: me })
  const fileOf = (input) => {
    const title = input.title ?? /^# (.+)$/m.exec(input.text)?.[1]
    if (!title)
      throw refuse('BAD_REQUEST', 'the context file has no title', {
        mend: 'give one, or begin the text with `# Title`',
      })
    const files = [...input.text.matchAll(/`([\w-]+\/[\w./-]+)`/g)].map(([, path]) => path)
    return { ...input, title, repositories: input.repositories ?? [], files }
  }

  return {
    viewer,
    session: ({ number }) => {
      const session = world.sessions.find((each) => each.number === number)
      return session ? view(session) : null
    },
    sessions: ({ first, archived, search }) => {
      const wanted = searched(search ?? '')
      const nodes = world.sessions
        .filter((each) => each.archived === archived && wanted(each))
        .reverse()
        .slice(0, first)
        .map(lineOf)
      const pageInfo = { hasNextPage: false, hasPreviousPage: false, startCursor: null, endCursor: null }
      return { nodes, edges: nodes.map((node) => ({ cursor: String(node.number), node })), pageInfo }
    },
    repositories: () => world.repositories,
    pullRequest: ({ repository, number }) => pullOf(world, repository, number),
    contextFiles: () => byPriority(world.contextFiles),
    contextFile: ({ id }) => world.contextFiles.find((each) => each.id === id) ?? null,
    personas: (_, { me }) => seenPersonas(me),
    persona: ({ id }, { me }) => seenPersonas(me).find((each) => each.id === id) ?? null,
    webhooks: (_, { me }) => {
      configures(me)
      return world.webhooks.map(webhookOf)
    },
    webhook: ({ id }, { me }) => {
      configures(me)
      const found = world.webhooks.find((each) => each.id === id)
      return found ? webhookOf(found) : null
    },
    people: () => world.people,
    invitations: (_, { me }) => {
      admin(me)
      return world.invitations
    },
    tokens: (_, { me }) =>
      world.tokens.filter((each) => each.person === me || (!each.person && me.role === 'ADMIN')),

    auditLog: ({ first, after, filter }, { me }) => {
      admin(me)
      const has = (text, part) => !part || text.toLowerCase().includes(part.toLowerCase())
      const fits = (each) =>
        (!after || each.number < Number(after)) &&
        has(each.actor, filter?.who) &&
        (!filter?.action || each.action === filter.action || each.action.startsWith(`${filter.action}.`)) &&
        has([each.actor, each.action, each.target, each.address].join('\n'), filter?.text) &&
        (!filter?.since || each.at >= filter.since) &&
        (!filter?.until || each.at < filter.until)
      const found = world.audit.filter(fits).reverse()
      const nodes = found.slice(0, first)
      const edges = nodes.map((node) => ({ cursor: String(node.number), node }))
      const pageInfo = {
        hasNextPage: found.length > first,
        hasPreviousPage: Boolean(after),
        startCursor: edges[0]?.cursor ?? null,
        endCursor: edges.at(-1)?.cursor ?? null,
      }
      return { nodes, edges, pageInfo }
    },
    auditVerdict: ({ noted }, { me }) => {
      admin(me)
      const last = world.audit.at(-1)
      const mark = `${last.number}:${last.hash}`
      if (noted && !/^\d+:[0-9a-f]{64}$/.test(noted))
        throw refuse('BAD_REQUEST', 'give a number and its hash as they were noted', { field: 'noted' })
      const whole = !noted || noted === mark
      const why = whole ? null : 'its hash is not the one that was noted'
      return { whole, mark, number: last.number, unfit: whole ? null : Number(noted.split(':')[0]), why }
    },

    addRepository: ({ name, path }) => {
      if (!path.startsWith('/'))
        throw refuse('BAD_REQUEST', 'The path must be absolute.', {
          field: 'path',
          mend: 'Begin it with a slash.',
        })
      const repository = {
        id: randomUUID(),
        name:
          name ??
          path
            .split('/')
            .at(-1)
            .replace(/\.git$/, ''),
        forge: 'local',
        location: path,
      }
      world.repositories.push(repository)
      return repository
    },
    createSession: ({ input }, { me }) => {
      const persona = seenPersonas(me).find((each) => each.id === input.persona)
      if (input.prompt.trim() === '')
        throw refuse('BAD_REQUEST', 'The request is empty.', { field: 'prompt' })
      const session = world.create(input, me)
      if (persona)
        session.persona = { id: persona.id, kind: 'PERSONA', title: persona.name, version: persona.version }
      void session.plan()
      return { session: view(session), warnings: [] }
    },
    ...learningResolvers(world, { configures, known, written, refuse }),
    addContextFile: ({ input }, { me }) => {
      configures(me)
      const file = { id: randomUUID(), ...fileOf(input), ...written(me, 1), used: 0, usedAt: null }
      world.contextFiles.push(file)
      return file
    },
    changeContextFile: ({ id, expectedVersion, input }, { me }) => {
      configures(me)
      const file = known(world.contextFiles, id, expectedVersion, 'context file')
      return Object.assign(file, fileOf(input), written(me, file.version + 1))
    },
    removeContextFile: ({ id, expectedVersion }, { me }) => {
      configures(me)
      known(world.contextFiles, id, expectedVersion, 'context file')
      world.contextFiles = world.contextFiles.filter((each) => each.id !== id)
      return byPriority(world.contextFiles)
    },
    addWebhook: ({ input }, { me }) => {
      configures(me)
      const webhook = { id: randomUUID(), deliveries: [], ...checkedHook(input), ...newHook() }
      world.webhooks.push(webhook)
      return { webhook: webhookOf(webhook), secret: secretOf() }
    },
    changeWebhook: ({ id, input }, { me }) => {
      configures(me)
      const webhook = hook(id)
      Object.assign(webhook, checkedHook(input, id))
      if (webhook.active) Object.assign(webhook, { switchedOff: null, failingSince: null })
      return webhookOf(webhook)
    },
    removeWebhook: ({ id }, { me }) => {
      configures(me)
      world.webhooks = world.webhooks.filter((each) => each !== hook(id))
      return world.webhooks.map(webhookOf)
    },
    rotateWebhookSecret: ({ id }, { me }) => {
      configures(me)
      const webhook = hook(id)
      webhook.secretMadeAt = new Date().toISOString()
      return { webhook: webhookOf(webhook), secret: secretOf() }
    },
    pingWebhook: ({ id }, { me }) => {
      configures(me)
      const ping = world.delivery({ event: 'PING', session: null, createdAt: new Date().toISOString() })
      hook(id).deliveries.unshift(ping)
      return ping
    },
    redeliver: ({ webhook, delivery }, { me }) => {
      configures(me)
      const found = hook(webhook).deliveries.find((each) => each.id === delivery)
      return Object.assign(found, { state: 'DELIVERED', attempts: 1, status: 204, error: null, answer: '' })
    },
    addPersona: ({ input, shared }, { me }) => {
      if (shared) configures(me)
      const more = {
        default: false,
        original: null,
        shared,
        owner: shared ? null : me,
        used: 0,
        usedAt: null,
      }
      const persona = { id: randomUUID(), ...input, ...written(me, 1), ...more }
      world.personas.push(persona)
      return persona
    },
    changePersona: ({ id, expectedVersion, input }, { me }) => {
      const persona = known(seenPersonas(me), id, expectedVersion, 'persona')
      if (persona.shared) configures(me)
      return Object.assign(persona, input, written(me, persona.version + 1))
    },
    removePersona: ({ id, expectedVersion }, { me }) => {
      const persona = known(seenPersonas(me), id, expectedVersion, 'persona')
      if (persona.shared) configures(me)
      world.personas = world.personas.filter((each) => each !== persona)
      return seenPersonas(me)
    },
    switchPersona: ({ session: number, persona }, { me }) => {
      const session = find(number)
      const found = seenPersonas(me).find((each) => each.id === persona)
      session.persona = found
        ? { id: found.id, kind: 'PERSONA', title: found.name, version: found.version }
        : null
      const text = `${me.name} chose ${found ? `the persona \`${found.name}\`` : 'the default personas'}, from the next run on.`
      session.emit({ type: 'note', level: 'info', text })
      return view(session)
    },
    sendMessage: ({ session: number, text }, { me }) => {
      const session = find(number)
      session.message(me.id, text)
      return queued(session, ['answer'])
    },
    execute: ({ session: number, step, all }) => {
      const session = find(number)
      const open = session.steps.filter((each) => each.leaf && ['NOT_STARTED', 'FAILED'].includes(each.state))
      const last = step
        ? open.findLastIndex((each) => `${each.number}.`.startsWith(`${step}.`))
        : all
          ? open.length - 1
          : 0
      const numbers = open.slice(0, last + 1).map((each) => each.number)
      if (numbers.length === 0)
        throw refuse('CONFLICT', 'every step is completed', {
          mend: 'say in a message what more is to be done',
        })
      session.execute(numbers)
      return queued(session, numbers)
    },
    stop: ({ session: number }) => {
      const session = find(number)
      session.stopping = true
      for (const request of session.requests) {
        session.emit({ type: 'answer', request: request.id, from: { who: 'system' }, answer: null })
        request.resolve({ answer: 'deny', reason: 'stopped' })
      }
      session.requests = []
      return { running: session.queue[0]?.step ?? null, removed: [], session: view(session) }
    },
    retry: ({ session: number }) => {
      const session = find(number)
      const failed = session.steps.find((each) => each.leaf && each.state === 'FAILED')
      if (!failed) throw refuse('CONFLICT', 'Nothing failed.')
      session.execute([failed.number])
      return queued(session, [failed.number])
    },
    answer: ({ session: number, request, answer }, { me }) => {
      const session = find(number)
      const said = answer.answers
        ? {
            answer: 'answers',
            answers: Object.fromEntries(answer.answers.map((each) => [each.question, each.answer])),
          }
        : answer.option
          ? { answer: 'chosen', option: answer.option }
          : answer.allow
            ? { answer: 'allow' }
            : { answer: 'deny', reason: answer.denyReason ?? '' }
      if (!session.answer(request, me.id, said))
        throw refuse('CONFLICT', 'Somebody else has answered already.', { mend: 'Their answer counts.' })
      return view(session)
    },
    editRunbook: ({ session, expectedVersion, text }, { me }) =>
      edit({ session, expectedVersion, body: text, me }),
    editStep: ({ session, expectedVersion, step, text }, { me }) =>
      edit({ session, expectedVersion, body: replaceStep(find(session), step, text.split('\n')), me }),
    deleteStep: ({ session, expectedVersion, step }, { me }) =>
      edit({ session, expectedVersion, body: replaceStep(find(session), step, null), me }),
    restoreVersion: ({ session: number, version }, { me }) => {
      const session = find(number)
      return session.addVersion(session.versions[version - 1].body, { who: 'person', user: me.id }, version)
    },
    lintRunbook: ({ text }) => lint(text),
    revertStep: ({ session: number, step }) => {
      const session = find(number)
      session.setStep(step, 'NOT_STARTED')
      return queued(session, ['revert_step'])
    },
    markStepDone: ({ session: number, step }) => {
      const session = find(number)
      session.setStep(step, 'COMPLETED', 'BY_PERSON')
      return view(session)
    },
    skipStep: ({ session: number, step, reason }, { me }) => {
      const session = find(number)
      session.skips.set(step, { reason, by: me, at: world.in(0) })
      session.setStep(step, 'COMPLETED', 'SKIPPED', reason)
      return view(session)
    },
    unskipStep: ({ session: number, step }) => {
      const session = find(number)
      session.skips.delete(step)
      session.setStep(step, 'NOT_STARTED')
      return view(session)
    },
    cancelAction: ({ session: number, action }) => {
      const session = find(number)
      session.queue = session.queue.filter((each) => each.id !== action)
      return view(session)
    },
    setBudget: ({ session: number, budget, runBudget }) => {
      const session = find(number)
      Object.assign(session, { budget, runBudget })
      return view(session)
    },
    renameSession: ({ session: number, title }, { me }) => {
      const session = find(number)
      if (title.trim() === '')
        throw refuse('BAD_REQUEST', 'the title is empty', { mend: 'say in a few words what it is about' })
      const text = `Renamed the session from “${session.title}” to “${title}”.`
      session.title = title
      session.emit({ type: 'message', from: { who: 'person', user: me.id }, run: null, text })
      return view(session)
    },
    cloneSession: ({ session: number }, { me }) => {
      const original = find(number)
      const { prompt, repository, mode, prMode, draft, labels, targetBranch } = original
      const title = `${original.title} (copy)`
      const copy = world.create({ title, prompt, repository, mode, prMode, draft, labels, targetBranch }, me)
      copy.addVersion(original.versions.at(-1).body, { who: 'person', user: me.id })
      copy.phase = { kind: 'PLANNED' }
      return { session: view(copy), warnings: [] }
    },
    archiveSession: ({ session: number, archived }) => {
      const session = find(number)
      session.archived = archived
      world.changed()
      return view(session)
    },
    commentOnPullRequest: ({ repository, number, body, path, line }, { me }) => {
      const pull = world.pulls.get(`${repository} ${number}`)
      const comment = { id: randomUUID(), author: me.name, body, createdAt: world.in(0) }
      if (path) pull.threads.push({ id: randomUUID(), path, line, resolved: false, comments: [comment] })
      else pull.comments.push(comment)
      return pullOf(world, repository, number)
    },
    makePullRequestReady: ({ repository, number }) => {
      const { session, change } = world.pulls.get(`${repository} ${number}`)
      change.state = 'OPEN'
      session.emit({
        type: 'change_state',
        change: change.id,
        state: 'open',
        branch: change.branch,
        head: change.head,
        pull_request: number,
        title: change.title,
      })
      return pullOf(world, repository, number)
    },
    revisePullRequest: ({ repository, number }) => {
      const { session } = world.pulls.get(`${repository} ${number}`)
      session.message(session.requester.id, 'Take in the comments.')
      return queued(session, ['revise'])
    },
    mergePullRequest: ({ repository, number }) => {
      const { session, change } = world.pulls.get(`${repository} ${number}`)
      if (change.state === 'DRAFT')
        throw refuse('CONFLICT', `pull request #${number} is a draft`, {
          mend: 'Make it ready for review first.',
        })
      change.state = 'MERGED'
      session.emit({
        type: 'change_state',
        change: change.id,
        state: 'merged',
        branch: change.branch,
        head: change.head,
        pull_request: number,
        title: change.title,
      })
      return { commit: change.head, notes: ['the branch above now targets `main`'] }
    },
    invite: ({ email, role }, { me }) => {
      admin(me)
      if (!email.includes('@'))
        throw refuse('BAD_REQUEST', `\`${email}\` is not a mail address.`, {
          field: 'email',
          mend: 'Write it as name@example.com.',
        })
      const token = randomUUID()
      world.links.set(token, {
        purpose: 'invitation',
        email,
        role: role.toLowerCase(),
        expiresAt: world.in(604_800),
      })
      world.invitations.push({
        id: randomUUID(),
        email,
        role,
        purpose: 'INVITATION',
        createdAt: world.in(0),
        expiresAt: world.in(604_800),
        invitedBy: me,
      })
      return { url: `${world.url ?? ''}/welcome/${token}`, expiresAt: world.in(604_800) }
    },
    revokeInvitation: ({ id }) => {
      world.invitations = world.invitations.filter((each) => each.id !== id)
      return world.invitations
    },
    setRole: ({ person, role }, { me }) => {
      admin(me)
      const found = world.person(person)
      if (
        found.role === 'ADMIN' &&
        role !== 'ADMIN' &&
        world.people.filter((each) => each.role === 'ADMIN').length === 1
      )
        throw refuse('CONFLICT', `${found.name} is the last admin.`, {
          mend: 'Make somebody else an admin first.',
        })
      return Object.assign(found, { role })
    },
    deactivatePerson: ({ person }) => Object.assign(world.person(person), { active: false }),
    activatePerson: ({ person }) => Object.assign(world.person(person), { active: true }),
    changePassword: ({ current, new: next }, context) => {
      if (world.passwords.get(context.me.id) !== current)
        throw refuse('BAD_REQUEST', 'That is not your current password.', { field: 'current' })
      world.passwords.set(context.me.id, next)
      return viewer(null, context)
    },
    renameMyself: ({ name }, { me }) => Object.assign(me, { name }),
    createToken: ({ name, expiresAt, account }, { me }) => {
      const token = {
        id: randomUUID(),
        name,
        person: account ? null : me,
        createdAt: world.in(0),
        expiresAt: expiresAt ?? null,
        usedAt: null,
      }
      world.tokens.push(token)
      return { token, value: `ry_${randomUUID().replaceAll('-', '')}` }
    },
    revokeToken: ({ id }, { me }) => {
      world.tokens = world.tokens.filter((each) => each.id !== id)
      return world.tokens.filter((each) => each.person === me || !each.person)
    },
    signOutEverywhere: (_, context) => {
      for (const [cookie, each] of world.signIns)
        if (each.person === context.me && each.id !== context.signIn) world.signIns.delete(cookie)
      return viewer(null, context)
    },

    events: ({ session: number, after }) => {
      const session = find(number)
      return stream((push) => {
        for (const event of session.log.slice(after)) push({ events: event })
        const listener = (event) => push({ events: event })
        session.listeners.add(listener)
        return () => session.listeners.delete(listener)
      })
    },
    presence: ({ session: number }, { me }) => {
      const session = find(number)
      return stream((push) => {
        const listener = () => push({ presence: session.present.map((each) => ({ ...each })) })
        const mine = { id: me.id, name: me.name, typing: false }
        session.present.push(mine)
        session.presentListeners.add(listener)
        session.tellPresent()
        return () => {
          session.present = session.present.filter((each) => each !== mine)
          session.presentListeners.delete(listener)
          session.tellPresent()
        }
      })
    },
    setTyping: ({ session: number, typing }, { me }) => {
      const session = find(number)
      for (const each of session.present) if (each.id === me.id) each.typing = typing
      session.tellPresent()
      return typing
    },
    sessionsChanged: () =>
      stream((push) => {
        const listener = (n) => push({ sessionsChanged: n })
        world.changeListeners.add(listener)
        return () => world.changeListeners.delete(listener)
      }),
  }
}

/** An async iterator over what `open` pushes until it is returned. */
function stream(open) {
  const ready = []
  let wake = () => {}
  let done = false
  const close = open((value) => {
    ready.push(value)
    wake()
  })
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      while (ready.length === 0 && !done)
        await new Promise((resolve) => {
          wake = resolve
        })
      return done ? { done, value: undefined } : { done, value: ready.shift() }
    },
    async return() {
      done = true
      close()
      wake()
      return { done, value: undefined }
    },
  }
}
