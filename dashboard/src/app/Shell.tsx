import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router'
import { CircleHelp, Settings as Cog, LogOut, Monitor, Moon, Search, Sun } from 'lucide-react'
import { useEffect, useState } from 'react'
import { signOut } from '../features/auth/auth'
import { graphql } from '../graphql/graphql'
import { onReturn, subscribe } from '../graphql/live'
import icon from '../icon.svg'
import { Button, Kbd, Menu, MenuItem } from '../ui/controls'
import { State, WAITS } from '../ui/State'
import { marked } from '../ui/safe-text'
import { Text } from '../ui/Text'
import { Toasts } from '../ui/toast'
import { useAttention } from './attention'
import { Banner } from './Banner'
import { listenForKeys, useCommands } from './commands'
import { HelpSheet } from './HelpSheet'
import { isMac } from './keys'
import { Palette } from './Palette'
import { queryClient, sessionsQuery, viewerQuery } from './queries'
import { setTheme, useTheme } from './theme'

const SESSIONS_CHANGED = graphql(`
  subscription SessionsChanged {
    sessionsChanged
  }
`)

/** Keeps lists fresh: by news while connected, by asking again after a pause in the connection. */
function useFreshLists() {
  const client = useQueryClient()
  useEffect(() => {
    let due: number | undefined
    const soon = () => {
      if (due !== undefined) return
      due = window.setTimeout(() => {
        due = undefined
        void client.invalidateQueries({ queryKey: ['sessions'] })
      }, 400)
    }
    const end = subscribe({ document: SESSIONS_CHANGED, variables: () => ({}), next: soon })
    const forget = onReturn(() => void client.invalidateQueries())
    return () => {
      window.clearTimeout(due)
      end()
      forget()
    }
  }, [client])
}

export function Shell() {
  const navigate = useNavigate()
  const admin = useQuery(viewerQuery).data?.role === 'ADMIN'
  const [open, setOpen] = useState<'palette' | 'help' | null>(null)
  const theme = useTheme()
  useFreshLists()
  useAttention()
  useEffect(listenForKeys, [])
  const path = useRouterState({ select: (state) => state.location.pathname })
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new page is the reason to close
  useEffect(() => setOpen(null), [path])

  const leave = async () => {
    await signOut()
    queryClient.clear()
    await navigate({ to: '/sign-in' })
  }
  useCommands([
    {
      id: 'palette',
      title: 'Search and commands',
      group: 'Everywhere',
      keys: 'mod+k',
      run: () => setOpen('palette'),
    },
    { id: 'help', title: 'Keyboard shortcuts', group: 'Everywhere', keys: '?', run: () => setOpen('help') },
    { id: 'home', title: 'Go home', group: 'Go', keys: 'g h', run: () => void navigate({ to: '/' }) },
    {
      id: 'me',
      title: 'Your settings',
      group: 'Go',
      keys: 'g m',
      run: () => void navigate({ to: '/settings/me' }),
    },
    {
      id: 'people',
      title: 'People',
      group: 'Go',
      keys: 'g p',
      run: () => void navigate({ to: '/settings/people' }),
    },
    {
      id: 'tokens',
      title: 'Tokens',
      group: 'Go',
      keys: 'g t',
      run: () => void navigate({ to: '/settings/tokens' }),
    },
    {
      id: 'playground',
      title: 'Playground: try the API out',
      group: 'Go',
      run: () => window.location.assign('/playground'),
    },
    ...(admin
      ? [
          {
            id: 'audit',
            title: 'Audit log',
            group: 'Go',
            keys: 'g a',
            run: () => void navigate({ to: '/settings/audit' }),
          },
        ]
      : []),
    { id: 'light', title: 'Theme: light', group: 'Look', run: () => setTheme('light') },
    { id: 'dark', title: 'Theme: dark', group: 'Look', run: () => setTheme('dark') },
    { id: 'system', title: 'Theme: as the system', group: 'Look', run: () => setTheme('system') },
    { id: 'sign-out', title: 'Sign out', group: 'Everywhere', run: () => void leave() },
  ])

  const viewer = useQuery(viewerQuery).data
  const sessions = useQuery(sessionsQuery()).data?.nodes ?? []
  const waiting = sessions.filter((session) => session.phase.kind === 'WAITING').length
  const name = viewer?.person?.name ?? viewer?.account.name ?? ''
  const ThemeIcon = theme === 'system' ? Monitor : theme === 'dark' ? Moon : Sun

  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <header className="shell-bar">
        <Link to="/" className="brand" aria-label="Runyard, home">
          <img src={icon} alt="" width={22} height={22} /> <span className="name">Runyard</span>
        </Link>
        <span className="muted clip account">
          <Text>{viewer?.account.name ?? ''}</Text>
        </span>
        <span className="grow" />
        {waiting > 0 ? (
          <Link to="/" className="badge wait">
            <State look={WAITS} silent /> {waiting}
            <span className="long"> {waiting === 1 ? 'session waits' : 'sessions wait'} for you</span>
            <span className="visually-hidden short"> waiting for you</span>
          </Link>
        ) : null}
        <button type="button" className="search-button" onClick={() => setOpen('palette')}>
          <Search size={14} aria-hidden="true" />
          <span className="long">Search or do</span>
          <span className="visually-hidden short">Search or do</span>
          <Kbd>{isMac ? '⌘' : 'Ctrl'} K</Kbd>
        </button>
        <Button
          look="quiet icon help"
          aria-label="Keyboard shortcuts"
          title="Keyboard shortcuts (?)"
          onClick={() => setOpen('help')}
        >
          <CircleHelp size={16} />
        </Button>
        <Menu label={`Theme: ${theme}`} trigger={<ThemeIcon size={16} />}>
          <MenuItem onClick={() => setTheme('system')}>
            <Monitor size={14} /> As the system
          </MenuItem>
          <MenuItem onClick={() => setTheme('light')}>
            <Sun size={14} /> Light
          </MenuItem>
          <MenuItem onClick={() => setTheme('dark')}>
            <Moon size={14} /> Dark
          </MenuItem>
        </Menu>
        <Menu label={`You: ${marked(name)}`} look="quiet" trigger={<Avatar name={name} />}>
          <MenuItem onClick={() => void navigate({ to: '/settings/me' })}>
            <Cog size={14} /> Settings
          </MenuItem>
          <MenuItem onClick={() => void leave()}>
            <LogOut size={14} /> Sign out
          </MenuItem>
        </Menu>
      </header>
      <Banner />
      <div id="main" className="shell-main" tabIndex={-1}>
        <Outlet />
      </div>
      {open === 'palette' ? <Palette onClose={() => setOpen(null)} /> : null}
      {open === 'help' ? <HelpSheet onClose={() => setOpen(null)} /> : null}
      <Toasts />
    </>
  )
}

export function Avatar({ name }: { name: string }) {
  const letters = name
    .split(/\s+/)
    .map((word) => [...word][0] ?? '')
    .join('')
    .slice(0, 2)
    .toUpperCase()
  return (
    // Drawn by the style sheet: the letters are a picture, the name stands beside it or in the label.
    <span className="avatar" aria-hidden="true" data-letters={letters || '?'} />
  )
}
