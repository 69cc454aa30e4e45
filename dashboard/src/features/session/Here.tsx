import { Avatar } from '../../app/Shell'
import { marked } from '../../ui/safe-text'
import { Text } from '../../ui/Text'
import { useOthers } from './presence'

/** So many faces are shown; the rest is a number. */
const FACES = 4

/** Who else looks at the session. */
export function Here() {
  const others = useOthers()
  if (others.length === 0) return null
  const more = others.length - FACES
  return (
    <ul className="here" aria-label="Also here">
      {others.slice(0, FACES).map((each) => (
        <li
          key={each.id}
          title={`${marked(each.name)} is here`}
          className={each.typing ? 'typing' : undefined}
        >
          <Avatar name={each.name} />
          <span className="visually-hidden">
            <Text>{each.name}</Text>
          </span>
        </li>
      ))}
      {more > 0 ? <li className="muted numbers">+{more}</li> : null}
    </ul>
  )
}

/** Who else writes a message. The line is always there, so that nothing moves when somebody begins. */
export function Typing() {
  const names = useOthers()
    .filter((each) => each.typing)
    .map((each) => each.name)
  const [first, second] = names
  let words = ''
  if (names.length > 2) words = 'Several people are writing …'
  else if (second) words = `${first} and ${second} are writing …`
  else if (first) words = `${first} is writing …`
  return (
    <p className="typing-line" role="status">
      <Text>{words}</Text>
    </p>
  )
}
