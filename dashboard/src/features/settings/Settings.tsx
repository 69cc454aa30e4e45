import { Link, Outlet } from '@tanstack/react-router'

export function Settings() {
  return (
    <div className="settings">
      <nav aria-label="Settings">
        <Link to="/settings/me">You</Link>
        <Link to="/settings/people">People</Link>
        <Link to="/settings/tokens">Tokens</Link>
        <Link to="/settings/context">Context files</Link>
        <Link to="/settings/personas">Personas</Link>
      </nav>
      <main>
        <Outlet />
      </main>
    </div>
  )
}
