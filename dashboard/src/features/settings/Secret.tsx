import { Copy } from 'lucide-react'
import { useState } from 'react'
import { Button } from '../../ui/controls'

/** A value that is shown once, to be copied. */
export function Secret({ value, what }: { value: string; what: string }) {
  const [copied, setCopied] = useState<'' | 'copied' | 'refused'>('')
  return (
    <div className="stack">
      <div className="secret">
        <span className="grow">{value}</span>
        <Button
          look="small"
          onClick={() =>
            navigator.clipboard.writeText(value).then(
              () => setCopied('copied'),
              () => setCopied('refused'),
            )
          }
        >
          <Copy size={13} /> {copied === 'copied' ? 'Copied' : `Copy ${what}`}
        </Button>
      </div>
      <p className="hint" role="status">
        {copied === 'refused'
          ? 'The browser does not let the page copy: mark the text and copy it by hand.'
          : 'It is shown only now; afterwards nobody can read it, Runyard neither.'}
      </p>
    </div>
  )
}
