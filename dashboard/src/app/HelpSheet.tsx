import { Dialog, Kbd } from '../ui/controls'
import { useAllCommands } from './commands'
import { isMac } from './keys'

export function Keys({ keys }: { keys: string }) {
  return (
    <span className="row">
      {keys.split(' ').map((stroke) => (
        <Kbd key={stroke}>
          {stroke
            .replace('mod+', isMac ? '⌘ ' : 'Ctrl ')
            .replace(/\b[a-z]$/, (letter) => letter.toUpperCase())}
        </Kbd>
      ))}
    </span>
  )
}

/** Every command that has keys, as it is right now. */
export function HelpSheet({ onClose }: { onClose: () => void }) {
  const commands = useAllCommands().filter((command) => command.keys)
  const groups = [...new Set(commands.map((command) => command.group))]
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <div className="stack">
        {groups.map((group) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl className="keys">
              {commands
                .filter((command) => command.group === group)
                .map((command) => (
                  <div key={command.id}>
                    <dt>{command.title}</dt>
                    <dd>
                      <Keys keys={command.keys ?? ''} />
                    </dd>
                  </div>
                ))}
            </dl>
          </section>
        ))}
      </div>
    </Dialog>
  )
}
