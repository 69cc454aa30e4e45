import { Fragment, memo } from 'react'
import { ansi } from './ansi'
import { pieces } from './safe-text'

/** Text of agents, repositories and people where every character is seen: invisible ones as marked escapes. */
export const Text = memo(function Text({ children }: { children: string }) {
  let at = 0
  return pieces(children).map((piece) => {
    const key = at
    at += piece.text.length + 1
    return piece.hidden ? (
      <span key={key} className="escape" title={`${piece.hidden}: a character that is not seen`}>
        {piece.text}
      </span>
    ) : (
      <Fragment key={key}>{piece.text}</Fragment>
    )
  })
})

/** A process's output: colours, no other effects. */
export const Output = memo(function Output({ children }: { children: string }) {
  let at = 0
  return ansi(children).map((span) => {
    const key = at
    at += span.text.length
    return (
      <span key={key} className={span.style || undefined}>
        <Text>{span.text}</Text>
      </span>
    )
  })
})
