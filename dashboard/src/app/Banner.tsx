import { useSyncExternalStore } from 'react'
import { connectionStore, tryNow } from '../graphql/live'
import { Button } from '../ui/controls'
import { clock } from '../ui/format'
import { useNow } from '../ui/hooks'

/** Says that no news arrive, what that means, and what happens next. */
export function Banner() {
  const connection = useSyncExternalStore(connectionStore.subscribe, connectionStore.get)
  const down = connection.state === 'down' || (connection.state === 'connecting' && connection.lost !== null)
  if (!down) return null
  return <Down since={connection.lost ?? connection.since} nextTry={connection.nextTry} />
}

function Down({ since, nextTry }: { since: number; nextTry: number | null }) {
  const now = useNow(1_000)
  const seconds = nextTry === null ? null : Math.max(1, Math.ceil((nextTry - now) / 1_000))
  return (
    <div className="banner">
      {/* Only the fact is announced, not each second. */}
      <p className="grow" role="status">
        <strong>Connection lost.</strong> You see what was known at {clock(new Date(since).toISOString())}.
        Sessions go on working; what you miss is fetched when the connection is back.
      </p>
      <span className="numbers">{seconds === null ? 'Trying …' : `Next try in ${seconds} s`}</span>
      <Button look="small" onClick={tryNow}>
        Try now
      </Button>
    </div>
  )
}
