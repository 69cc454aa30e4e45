import { useQuery } from '@tanstack/react-query'
import { Link, Outlet } from '@tanstack/react-router'
import { viewerQuery } from '../../app/queries'

export function Settings() {
  const admin = useQuery(viewerQuery).data?.role === 'ADMIN'
  return (
    <div className="settings">
      <nav aria-label="Settings">
        <Link to="/settings/me">You</Link>
        <Link to="/settings/people">People</Link>
        <Link to="/settings/tokens">Tokens</Link>
        <Link to="/settings/context">Context files</Link>
        <Link to="/settings/personas">Personas</Link>
        {admin ? <Link to="/settings/audit">Audit log</Link> : null}
      </nav>
      <main>
        <Outlet />
      </main>
    </div>
  )
}
