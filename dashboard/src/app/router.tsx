import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router'
import { SignIn } from '../features/auth/SignIn'
import { Welcome } from '../features/auth/Welcome'
import { Home } from '../features/home/Home'
import { auditSearch } from '../features/settings/audit'
import { learningSearch } from '../features/settings/learnings'
import { isSignedOut } from '../graphql/errors'
import { Crashed, NotFound } from './Lost'
import { queryClient, viewerQuery, whenSignedOut } from './queries'
import { Shell } from './Shell'

const root = createRootRoute({
  component: Outlet,
  notFoundComponent: NotFound,
  errorComponent: Crashed,
})

interface SignInSearch {
  /** What to see afterwards. */
  next?: string
  /** Why the provider's word was not enough. */
  refused?: string
  /** Under which the log of the server says more. */
  request?: string
}

const signInRoute = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: (search: Record<string, unknown>): SignInSearch => ({
    ...(typeof search.next === 'string' ? { next: search.next } : {}),
    ...(typeof search.refused === 'string' ? { refused: search.refused } : {}),
    ...(typeof search.request === 'string' ? { request: search.request } : {}),
  }),
  component: SignIn,
})

const welcomeRoute = createRoute({
  getParentRoute: () => root,
  path: '/welcome/$token',
  component: Welcome,
})

/** Everything that needs a sign-in. */
const inside = createRoute({
  getParentRoute: () => root,
  id: 'inside',
  beforeLoad: async ({ location }) => {
    try {
      await queryClient.ensureQueryData(viewerQuery)
    } catch (error) {
      if (isSignedOut(error)) throw redirect({ to: '/sign-in', search: nextOf(location.href) })
      throw error
    }
  },
  component: Shell,
})

export interface HomeSearch {
  archived?: boolean
  /** What is looked for. */
  q?: string
}

/** A number that somebody looks for comes as a number. */
const homeSearch = ({ archived, q }: Record<string, unknown>): HomeSearch => ({
  ...(archived === true ? { archived } : {}),
  ...((typeof q === 'string' && q !== '') || typeof q === 'number' ? { q: String(q) } : {}),
})

const homeRoute = createRoute({
  getParentRoute: () => inside,
  path: '/',
  validateSearch: homeSearch,
  component: Home,
})

export const TABS = ['steps', 'markdown', 'changes', 'log'] as const
export type Tab = (typeof TABS)[number] | 'talk'

export interface SessionSearch {
  /** `talk` is the conversation, a tab of its own on narrow screens. */
  tab?: Tab
  /** The pull request that is looked at. */
  change?: number
  /** The run whose events the log shows. */
  run?: string
  /** The entry that a link leads to. */
  at?: number
}

export function sessionSearch(search: Record<string, unknown>): SessionSearch {
  const { tab, change, run, at } = search
  return {
    ...(tab === 'talk' || TABS.some((each) => each === tab) ? { tab: tab as Tab } : {}),
    ...(typeof change === 'number' ? { change } : {}),
    ...(typeof run === 'string' ? { run } : {}),
    ...(typeof at === 'number' ? { at } : {}),
  }
}

const sessionRoute = createRoute({
  getParentRoute: () => inside,
  path: '/r/$number',
  params: {
    parse: ({ number }: { number: string }) => ({ number: Number(number) }),
    stringify: ({ number }: { number: number }) => ({ number: String(number) }),
  },
  validateSearch: sessionSearch,
  component: lazyRouteComponent(() => import('../features/session/SessionPage'), 'SessionPage'),
})

/** A pull request by its own address, for links from elsewhere. */
const changeRoute = createRoute({
  getParentRoute: () => inside,
  path: '/r/$number/changes/$change',
  beforeLoad: ({ params }) => {
    throw redirect({
      to: '/r/$number',
      params: { number: Number(params.number) },
      search: { tab: 'changes', change: Number(params.change) },
    })
  },
})

/** The playground is a document of its own, under a policy of its own. */
const playgroundRoute = createRoute({
  getParentRoute: () => inside,
  path: '/playground',
  beforeLoad: () => window.location.assign('/playground'),
})

const settingsRoute = createRoute({
  getParentRoute: () => inside,
  path: '/settings',
  component: lazyRouteComponent(() => import('../features/settings/Settings'), 'Settings'),
})

const settings = {
  index: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/',
    beforeLoad: () => {
      throw redirect({ to: '/settings/me' })
    },
  }),
  me: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/me',
    component: lazyRouteComponent(() => import('../features/settings/Me'), 'Me'),
  }),
  people: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/people',
    component: lazyRouteComponent(() => import('../features/settings/People'), 'People'),
  }),
  tokens: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/tokens',
    component: lazyRouteComponent(() => import('../features/settings/Tokens'), 'Tokens'),
  }),
  context: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/context',
    component: lazyRouteComponent(() => import('../features/settings/ContextFiles'), 'ContextFiles'),
  }),
  contextFile: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/context/$id',
    component: lazyRouteComponent(() => import('../features/settings/ContextFiles'), 'ContextFilePage'),
  }),
  personas: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/personas',
    component: lazyRouteComponent(() => import('../features/settings/Personas'), 'Personas'),
  }),
  persona: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/personas/$id',
    component: lazyRouteComponent(() => import('../features/settings/Personas'), 'PersonaPage'),
  }),
  learnings: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/learnings',
    validateSearch: learningSearch,
    component: lazyRouteComponent(() => import('../features/settings/Learnings'), 'Learnings'),
  }),
  learning: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/learnings/$id',
    component: lazyRouteComponent(() => import('../features/settings/Learnings'), 'LearningPage'),
  }),
  webhooks: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/webhooks',
    component: lazyRouteComponent(() => import('../features/settings/Webhooks'), 'Webhooks'),
  }),
  webhook: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/webhooks/$id',
    component: lazyRouteComponent(() => import('../features/settings/Webhooks'), 'WebhookPage'),
  }),
  audit: createRoute({
    getParentRoute: () => settingsRoute,
    path: '/audit',
    validateSearch: auditSearch,
    component: lazyRouteComponent(() => import('../features/settings/AuditLog'), 'AuditLog'),
  }),
}

export const router = createRouter({
  routeTree: root.addChildren([
    signInRoute,
    welcomeRoute,
    inside.addChildren([
      homeRoute,
      sessionRoute,
      changeRoute,
      playgroundRoute,
      settingsRoute.addChildren(Object.values(settings)),
    ]),
  ]),
  defaultPreload: 'intent',
  // The router's own restoration writes an inline script, which the content policy forbids.
  scrollRestoration: false,
})

const nextOf = (href: string) => (href === '/' ? {} : { next: href })

whenSignedOut(() => {
  const { pathname, href } = router.state.location
  if (pathname === '/sign-in' || pathname.startsWith('/welcome/')) return
  queryClient.clear()
  void router.navigate({ to: '/sign-in', search: nextOf(href) })
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
