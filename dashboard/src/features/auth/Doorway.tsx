import type { ReactNode } from 'react'
import icon from '../../icon.svg'

/** The frame of pages for people who are not signed in. */
export function Doorway({ title, children }: { title: string; children: ReactNode }) {
  return (
    <main className="doorway">
      <div className="card">
        <p className="brand">
          <img src={icon} alt="" width={24} height={24} /> Runyard
        </p>
        <h1>{title}</h1>
        {children}
      </div>
    </main>
  )
}
