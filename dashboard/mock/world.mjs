import { randomUUID } from 'node:crypto'
import { learningsOf } from './learnings.mjs'
import { Session } from './session.mjs'

const person = (name, email, role) => ({
  id: randomUUID(),
  name,
  email,
  role,
  active: true,
  hasPassword: true,
})

/** Everything that the mock knows. `pace` is the pause between events in milliseconds. */
export class World {
  constructor({ pace = 0, empty = false } = {}) {
    this.pace = 0
    this.account = { id: randomUUID(), name: 'Acme' }
    this.people = [
      person('Ada Lovelace', 'ada@example.com', 'ADMIN'),
      person('Grace Hopper', 'grace@example.com', 'MAINTAINER'),
      person('Edsger Dijkstra', 'edsger@example.com', 'MEMBER'),
    ]
    this.passwords = new Map(this.people.map((each) => [each.id, 'correct horse battery']))
    this.signIns = new Map()
    this.links = new Map([
      ['first', { purpose: 'first_admin', email: '', role: 'admin', expiresAt: this.in(86_400) }],
      [
        'invited',
        { purpose: 'invitation', email: 'barbara@example.com', role: 'member', expiresAt: this.in(86_400) },
      ],
      [
        'reset',
        { purpose: 'password_reset', email: 'ada@example.com', role: 'admin', expiresAt: this.in(3_600) },
      ],
    ])
    this.invitations = [
      {
        id: randomUUID(),
        email: 'barbara@example.com',
        role: 'MEMBER',
        purpose: 'INVITATION',
        createdAt: this.in(-7_200),
        expiresAt: this.in(86_400),
        invitedBy: this.people[0],
      },
    ]
    // Who did what, oldest first: more than one page.
    const deed = (number, person, action, target, more = {}) => ({
      number,
      at: this.in(-600 * (71 - number)),
      kind: 'PERSON',
      actor: person.email,
      via: 'PAGE',
      address: '192.0.2.17',
      action,
      target,
      outcome: 'DONE',
      details: [],
      hash: String(number).padStart(64, '0'),
      ...more,
    })
    const [ada, grace] = this.people
    this.audit = [
      deed(1, ada, 'link.use', ada.email, { details: [{ name: 'purpose', value: 'first admin' }] }),
      ...Array.from({ length: 64 }, (_, n) => deed(n + 2, grace, 'session.execute', `r/${(n % 4) + 38}`)),
      deed(66, { email: 'eve@example.net' }, 'sign_in', '', {
        kind: 'STRANGER',
        outcome: 'REFUSED',
        address: '203.0.113.9',
      }),
      deed(67, ada, 'person.role', grace.email, { details: [{ name: 'role', value: 'maintainer' }] }),
      deed(68, grace, 'operation.refused', 'setRole', { outcome: 'REFUSED' }),
      deed(69, ada, 'token.create', 'laptop', { details: [{ name: 'ends', value: 'never' }] }),
      deed(70, ada, 'repository.add', 'shop', { kind: 'COMMAND_LINE', via: 'COMMAND_LINE', address: null }),
    ]
    this.tokens = [
      {
        id: randomUUID(),
        name: 'laptop',
        person: this.people[0],
        createdAt: this.in(-864_000),
        expiresAt: this.in(864_000),
        usedAt: this.in(-600),
      },
      {
        id: randomUUID(),
        name: 'continuous integration',
        person: null,
        createdAt: this.in(-8_640_000),
        expiresAt: null,
        usedAt: null,
      },
    ]
    const known = (more) => ({
      id: randomUUID(),
      version: 1,
      changedAt: this.in(-86_400),
      used: 0,
      usedAt: null,
      author: this.people[1],
      ...more,
    })
    this.learnings = empty ? [] : learningsOf(this)
    this.contextFiles = empty
      ? []
      : [
          known({
            title: 'Errors',
            text: '# Errors\n\nEvery error says what is wrong, where, and what mends it.\n\n- `src/error.rs` has the type\n',
            repositories: [],
            priority: 10,
            enabled: true,
            files: ['src/error.rs'],
            used: 12,
            usedAt: this.in(-1_700),
          }),
          known({
            title: 'Start page',
            text: '# Start page\n\nIt is drawn by the server.\n',
            repositories: ['website', 'team/*'],
            priority: 0,
            enabled: false,
            files: [],
          }),
        ]
    const persona = (name, role, more) =>
      known({
        name,
        role,
        instructions: `${name}: read before you write.`,
        default: false,
        original: null,
        shared: true,
        ...more,
      })
    const original = 'Plan as an experienced engineer of this team would.'
    this.personas = [
      persona('Default Planner', 'PLANNER', {
        default: true,
        original,
        instructions: original,
        version: 0,
        changedAt: null,
        author: null,
        used: 9,
      }),
      persona('Default Developer', 'DEVELOPER', {
        default: true,
        original: 'Read before you write.',
        used: 3,
      }),
      persona('Security first', 'CUSTOM', {}),
      persona('My way', 'DEVELOPER', { shared: false, owner: this.people[0] }),
    ]
    const hook = (id, more) => ({
      id,
      events: null,
      active: true,
      switchedOff: null,
      failingSince: null,
      secretMadeAt: this.in(-90_000),
      createdAt: this.in(-90_000),
      changedAt: this.in(-90_000),
      deliveries: [],
      ...more,
    })
    this.webhooks = empty
      ? []
      : [
          hook('hook-1', {
            name: 'chat',
            url: 'https://hooks.example.org/runyard',
            deliveries: [
              this.delivery({
                event: 'QUESTION_ASKED',
                createdAt: this.in(-60),
                state: 'WAITING',
                attempts: 3,
                nextAttemptAt: this.in(40),
                attemptedAt: this.in(-5),
                durationMs: 10_003,
                error: 'it did not answer in time',
              }),
              this.delivery({ event: 'STEP_COMPLETED', createdAt: this.in(-300) }),
              this.delivery({
                event: 'RUN_FAILED',
                createdAt: this.in(-180_000),
                state: 'GIVEN_UP',
                attempts: 12,
                status: 500,
                error: 'it answered 500 Internal Server Error',
                answer: 'Traceback (most recent call last):\n  …',
              }),
            ],
          }),
          hook('hook-2', {
            name: 'release notes',
            url: 'https://notes.example.org/',
            events: ['CHANGE_MERGED'],
            active: false,
            switchedOff: 'nothing was delivered for 3 days',
            failingSince: this.in(-260_000),
          }),
        ]
    this.repositories = empty
      ? []
      : ['backend', 'website'].map((name) => ({
          id: randomUUID(),
          name,
          forge: 'local',
          location: `/srv/git/${name}.git`,
        }))
    this.sessions = []
    this.pulls = new Map()
    this.nextPull = 17
    this.changes = 0
    this.changeListeners = new Set()
    this.ready = empty ? Promise.resolve() : this.fill()
    this.ready.then(() => {
      this.pace = pace
    })
  }

  clock() {
    return Date.now()
  }

  /** A delivery of a webhook, made unless it says otherwise. */
  delivery(more) {
    return {
      id: randomUUID(),
      session: 'r/42',
      state: 'DELIVERED',
      attempts: 1,
      nextAttemptAt: null,
      attemptedAt: more.createdAt,
      durationMs: 84,
      status: more.state ? null : 204,
      error: null,
      answer: more.attempts ? null : '',
      ...more,
    }
  }

  in(seconds) {
    return new Date(Date.now() + seconds * 1_000).toISOString()
  }

  person(id) {
    return this.people.find((each) => each.id === id) ?? null
  }

  changed() {
    this.changes += 1
    for (const listener of this.changeListeners) listener(this.changes)
  }

  create(input, requester, number = (this.sessions.at(-1)?.number ?? 0) + 1) {
    const session = new Session(this, number, input, requester)
    this.sessions.push(session)
    return session
  }

  /** A team's morning: one session in each state. */
  async fill() {
    const [ada, grace, edsger] = this.people
    const old = [
      ['Log requests with their trace id', 'backend', 'COMPLETED', ada],
      ['Cut the start page to one second', 'website', 'FAILED', grace],
      ['Rate limit for sign-in', 'backend', 'PLANNED', edsger],
    ]
    for (const [index, [title, repository, kind, requester]] of old.entries()) {
      const session = this.create({ title, prompt: title, repository }, requester, 37 + index)
      session.createdAt = this.in(-86_400 * (4 - index))
      await session.plan(false)
      if (kind === 'PLANNED') continue
      for (const step of session.steps.filter((each) => each.leaf))
        session.states.set(step.number, { state: 'COMPLETED', reason: 'CHANGED' })
      session.phase = { kind }
      session.cost = 1.84 + index
      if (kind === 'FAILED') {
        session.states.set('2.1', { state: 'FAILED', reason: 'CHECK' })
        session.states.set('2.2', { state: 'NOT_STARTED', reason: null })
        session.phase = { kind, step: '2.1', reason: 'CHECK' }
      }
    }
    const asking = this.create(
      { title: 'Rename the billing tables', prompt: 'Rename the billing tables.', repository: 'backend' },
      grace,
      41,
    )
    asking.createdAt = this.in(-5_400)
    void asking.plan()
    while (asking.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    const main = this.create(
      {
        title: 'Upgrade the HTTP client',
        prompt: 'Upgrade our HTTP client to the builder interface. Keep timeouts as they are.',
        repository: 'backend',
      },
      ada,
      42,
    )
    main.createdAt = this.in(-1_800)
    await main.plan(false)
    main.execute(['1.1', '1.2', '1.3'])
    while (main.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
    main.publish('1')
  }
}
