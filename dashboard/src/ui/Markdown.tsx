import { Component, memo, type ReactNode } from 'react'
import ReactMarkdown, { type Components } from 'react-markdown'
import rehypeSanitize, { defaultSchema } from 'rehype-sanitize'
import remarkGfm from 'remark-gfm'
import { marked } from './safe-text'

const LINK = /^(https?:\/\/|mailto:)/i

const SCHEMA: typeof defaultSchema = {
  ...defaultSchema,
  // Pictures would tell their server who reads this and when; what they would show is named instead.
  protocols: { ...defaultSchema.protocols, href: ['http', 'https', 'mailto'], src: [] },
}

function shown(href: string): string {
  try {
    const url = new URL(href)
    return url.protocol === 'mailto:' ? url.pathname : url.host
  } catch {
    return href
  }
}

const COMPONENTS: Components = {
  a: ({ href, children }) => {
    if (!href || !LINK.test(href)) return <span>{children}</span>
    // The target stands beside the words: they may promise another one.
    return (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow" title={href} className="outside">
        {children}
        <span className="target">{shown(href)}</span>
      </a>
    )
  },
  img: ({ alt }) => <span className="no-image">picture{alt ? `: ${alt}` : ''} (not loaded)</span>,
  // Wide tables scroll by themselves; the page does not.
  table: ({ children }) => (
    <section className="table-scroll" aria-label="Table" tabIndex={0}>
      <table>{children}</table>
    </section>
  ),
  pre: ({ children }) => <pre tabIndex={0}>{children}</pre>,
  input: ({ type, checked }) => (type === 'checkbox' ? <span>{checked ? '☑' : '☐'} </span> : null),
}

/** Deep nesting and very long text cost more to lay out than anybody reads: they are shown as they are. */
const TOO_DEEP = /^(?:(?:[ \t]*[>*+-]){30}|[ \t]{80,}(?:[>*+-]|\d))/m
const TOO_LONG = 200_000
/** Marks that may begin something cost time with every other one: a thousand brackets are more than any text has. */
const MARKS = /[[<`*_~&@|]/g
const TOO_MANY = 3_000

function isDear(source: string): boolean {
  if (source.length > TOO_LONG || TOO_DEEP.test(source)) return true
  let marks = 0
  for (const _ of source.matchAll(MARKS)) if (++marks > TOO_MANY) return true
  return false
}

class Fallback extends Component<{ plain: ReactNode; children: ReactNode }, { broken: boolean }> {
  override state = { broken: false }

  static getDerivedStateFromError() {
    return { broken: true }
  }

  override render() {
    return this.state.broken ? this.props.plain : this.props.children
  }
}

/** Markdown of agents and people: no raw HTML, no pictures, links that show where they lead. */
export const Markdown = memo(function Markdown({ children }: { children: string }) {
  const source = marked(children)
  const plain = <pre className="plain">{source}</pre>
  if (isDear(source)) return plain
  return (
    <div className="markdown">
      <Fallback plain={plain}>
        <ReactMarkdown
          remarkPlugins={[remarkGfm]}
          rehypePlugins={[[rehypeSanitize, SCHEMA]]}
          components={COMPONENTS}
        >
          {source}
        </ReactMarkdown>
      </Fallback>
    </div>
  )
})
