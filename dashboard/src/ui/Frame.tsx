import type { ReactNode } from 'react'

/**
 * A frame of its own for what a process or an agent wrote, so that it cannot pass for the page. It scrolls, so it can
 * be reached by keyboard, and says what it is.
 */
export function Frame({ label, look = '', children }: { label: string; look?: string; children: ReactNode }) {
  return (
    <pre className={`output ${look}`} role="group" aria-label={label} tabIndex={0}>
      {children}
    </pre>
  )
}
