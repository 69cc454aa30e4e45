import { useQuery } from '@tanstack/react-query'
import { Link, Outlet } from '@tanstack/react-router'
import { viewerQuery } from '../../app/queries'

export function Settings() {
  const role = useQuery(viewerQuery).data?.role
  return (
    <div className="settings">
      <nav aria-label="Settings">
        <Link to="/settings/me">You</Link>
        <Link to="/settings/people">People</Link>
        <Link to="/settings/tokens">Tokens</Link>
        <Link to="/settings/context">Context files</Link>
        <Link to="/settings/personas">Personas</Link>
        <Link to="/settings/learnings">Learnings</Link>
        {role && role !== 'MEMBER' ? <Link to="/settings/webhooks">Webhooks</Link> : null}
        {role === 'ADMIN' ? <Link to="/settings/audit">Audit log</Link> : null}
      </nav>
      <main>
        <Outlet />
      </main>
    </div>
  )
}
