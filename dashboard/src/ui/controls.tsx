import { X } from 'lucide-react'
import {
  type ComponentProps,
  createContext,
  type KeyboardEvent,
  type ReactNode,
  useContext,
  useEffect,
  useId,
  useRef,
  useState,
} from 'react'
import { exact, relative } from './format'
import { useNow } from './hooks'

export function Button({ look = '', ...rest }: { look?: string } & ComponentProps<'button'>) {
  return <button type="button" {...rest} className={`button ${look}`} />
}

interface FieldProps {
  label: string
  hint?: string
  problem?: string | undefined
  children: (props: {
    id: string
    'aria-describedby': string | undefined
    'aria-invalid': boolean
  }) => ReactNode
}

function Field({ label, hint, problem, children }: FieldProps) {
  const id = useId()
  const described = problem || hint ? `${id}-more` : undefined
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      {children({ id, 'aria-describedby': described, 'aria-invalid': problem !== undefined })}
      {problem ? (
        <p id={described} className="problem">
          {problem}
        </p>
      ) : hint ? (
        <p id={described} className="hint">
          {hint}
        </p>
      ) : null}
    </div>
  )
}

type Told = Omit<FieldProps, 'children'>

/** One line of text with its label; `onValue` gets what was typed. */
export function TextField({
  label,
  hint,
  problem,
  className = '',
  onValue,
  ...rest
}: Told & { onValue: (text: string) => void } & Omit<ComponentProps<'input'>, 'onChange' | 'children'>) {
  return (
    <Field label={label} hint={hint} problem={problem}>
      {(props) => (
        <input
          {...rest}
          {...props}
          className={`input ${className}`}
          onChange={(event) => onValue(event.target.value)}
        />
      )}
    </Field>
  )
}

/** A choice of one with its label; the options are the children. */
export function SelectField<Value extends string>({
  label,
  hint,
  problem,
  onValue,
  ...rest
}: Told & { value: Value; onValue: (value: Value) => void } & Omit<
    ComponentProps<'select'>,
    'onChange' | 'value'
  >) {
  return (
    <Field label={label} hint={hint} problem={problem}>
      {(props) => (
        <select
          {...rest}
          {...props}
          className="input"
          onChange={(event) => onValue(event.target.value as Value)}
        />
      )}
    </Field>
  )
}

/** A native modal dialog: focus stays inside, Escape closes, the rest of the page is inert. */
export function Dialog({
  title,
  onClose,
  children,
  look = '',
}: {
  title: string
  onClose: () => void
  children: ReactNode
  look?: string
}) {
  const ref = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const dialog = ref.current
    const before = document.activeElement
    dialog?.showModal()
    return () => {
      dialog?.close()
      if (before instanceof HTMLElement) before.focus()
    }
  }, [])
  return (
    <dialog
      ref={ref}
      className={`dialog ${look}`}
      aria-labelledby={id}
      onClose={onClose}
      onCancel={onClose}
      onPointerDown={(event) => event.target === ref.current && onClose()}
    >
      <header>
        <h2 id={id}>{title}</h2>
        <Button look="quiet icon small" aria-label="Close" onClick={onClose}>
          <X size={16} />
        </Button>
      </header>
      <div className="inside">{children}</div>
    </dialog>
  )
}

const CloseMenu = createContext<() => void>(() => {})

export function Menu({
  label,
  trigger,
  look = 'quiet icon',
  children,
}: {
  label: string
  trigger: ReactNode
  look?: string
  children: ReactNode
}) {
  const [open, setOpen] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  useEffect(() => {
    if (!open) return
    box.current?.querySelector<HTMLElement>('[role=menuitem]:not(:disabled)')?.focus()
    const outside = (event: Event) => box.current?.contains(event.target as Node) || setOpen(false)
    document.addEventListener('pointerdown', outside)
    return () => document.removeEventListener('pointerdown', outside)
  }, [open])
  const close = () => {
    setOpen(false)
    button.current?.focus()
  }
  const keys = (event: KeyboardEvent) => {
    if (!open) return
    const items = [...(box.current?.querySelectorAll<HTMLElement>('[role=menuitem]:not(:disabled)') ?? [])]
    const at = items.indexOf(document.activeElement as HTMLElement)
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key]
    if (to !== undefined) {
      event.preventDefault()
      items.at(to % items.length)?.focus()
    } else if (event.key === 'Escape') {
      event.stopPropagation()
      close()
    } else if (event.key === 'Tab') setOpen(false)
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the keys belong to the menu inside
    <div className="menu-box" ref={box} onKeyDown={keys}>
      <button
        ref={button}
        type="button"
        className={`button ${look}`}
        aria-haspopup="menu"
        aria-expanded={open}
        aria-label={label}
        title={label}
        onClick={() => setOpen(!open)}
      >
        {trigger}
      </button>
      {open ? (
        <div className="menu" role="menu" aria-label={label}>
          <CloseMenu value={close}>{children}</CloseMenu>
        </div>
      ) : null}
    </div>
  )
}

export function MenuItem({ onClick, ...rest }: ComponentProps<'button'>) {
  const close = useContext(CloseMenu)
  return (
    <button
      type="button"
      role="menuitem"
      {...rest}
      onClick={(event) => {
        close()
        onClick?.(event)
      }}
    />
  )
}

export function Ago({ at, className }: { at: string; className?: string }) {
  const now = useNow(30_000)
  return (
    <time dateTime={at} title={exact(at)} className={className}>
      {relative(at, now)}
    </time>
  )
}

export const Kbd = ({ children }: { children: ReactNode }) => <kbd className="kbd">{children}</kbd>

export function Problem({ children, action }: { children: ReactNode; action?: ReactNode }) {
  return (
    <div className="callout bad" role="alert">
      <div className="grow">{children}</div>
      {action}
    </div>
  )
}
