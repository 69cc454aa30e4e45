import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import type { SessionSearch } from '../../app/router'

interface Props {
  /** What of the address changes; the rest stays. */
  to: SessionSearch
  children: ReactNode
  className?: string
  title?: string
  'aria-current'?: 'page' | undefined
}

/** A link to another place of the same session. */
export function SessionLink({ to, ...rest }: Props) {
  return <Link from="/r/$number" to="/r/$number" search={(before) => ({ ...before, ...to })} {...rest} />
}
