import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { words } from '../../graphql/errors'
import { Button } from '../../ui/controls'
import { Frame } from '../../ui/Frame'
import { bytes } from '../../ui/format'
import { Output } from '../../ui/Text'
import { useSession } from './context'
import { outputQuery } from './queries'

/** So many bytes of what a process wrote are shown at once. */
const MOST = 32 << 10

/** What a process wrote, a part at a time: it may be longer than anybody's memory. */
export function OutputPart({ exec, from: begin }: { exec: string; from: number }) {
  const { session } = useSession()
  const [from, setFrom] = useState(begin)
  const part = useQuery({
    ...outputQuery(session.number, exec, from, MOST),
    placeholderData: keepPreviousData,
  })
  if (part.error)
    return (
      <p className="problem" role="alert">
        {words(part.error)}
      </p>
    )
  if (!part.data) return <p className="muted small">Reading …</p>
  const { text, size, ...shown } = part.data
  return (
    <section aria-label="Output" className="output-part">
      <div className="row small">
        <span className="muted numbers grow" role="status">
          {bytes(shown.from)} to {bytes(shown.to)} of {bytes(size)}
        </span>
        <Button look="small" disabled={shown.from === 0} onClick={() => setFrom(0)}>
          Beginning
        </Button>
        <Button
          look="small"
          disabled={shown.from === 0}
          onClick={() => setFrom(Math.max(0, shown.from - MOST))}
        >
          Earlier
        </Button>
        <Button look="small" disabled={shown.to >= size} onClick={() => setFrom(shown.to)}>
          Later
        </Button>
        <Button look="small" disabled={shown.to >= size} onClick={() => setFrom(Math.max(0, size - MOST))}>
          End
        </Button>
      </div>
      <Frame label="Output">
        <Output>{text}</Output>
      </Frame>
    </section>
  )
}
