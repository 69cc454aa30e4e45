/** What the mock's agent writes. */

export const RUNBOOK = `# Runbook: Upgrade the HTTP client

Moves every caller to the new builder and keeps the blocking interface.

## Execution Steps

### Step 1: Move to the new API
The builder replaces three constructors.

#### 1.1: [NO-CODE-CHANGE] List the call sites
Find every use of \`Client::new\` outside tests.

\`\`\`runnable bash name=callsites timeout=10s
grep -rn "Client::new" src
\`\`\`

#### 1.2: Replace them
- Use \`Client::builder()\` everywhere
- Keep timeouts as they are

| caller | timeout |
| --- | --- |
| \`sync\` | 30 s |
| \`fetch\` | 10 s |

#### 1.3: Check
\`\`\`runnable bash check name=tests
cargo test -p client
\`\`\`

### Step 2: [CONDITIONAL] Update the configuration
**Only execute if the project uses TLS**

#### 2.1: Rename the TLS options
#### 2.2: Describe them in the sample file

### Step 3: Documentation
Say in \`CHANGELOG.md\` what callers must change.
`

export const PLAN_TEXT = `I read the client and its callers. Two things matter for the plan:

1. **Three constructors** become one builder.
2. The *blocking* interface is used by \`sync\`, so it stays.

See the [migration guide](https://docs.example.org/client/migrate) and \`src/client.rs\`.

\`\`\`rust
let client = Client::builder().timeout(Duration::from_secs(30)).build()?;
\`\`\`
`

export const HOSTILE = `<img src=x onerror="alert(1)"><script>alert(2)</script> ![pixel](https://evil.test/p.png) [click](javascript:alert(3)) and \u202Ereversed\u202C.`

export const DIFF = `diff --git a/src/client.rs b/src/client.rs
index 83db48f..bf269f4 100644
--- a/src/client.rs
+++ b/src/client.rs
@@ -1,12 +1,16 @@
 use std::time::Duration;
 
-pub fn client() -> Client {
-    Client::new(Duration::from_secs(30))
+/// The one client that everything shares.
+pub fn client() -> Result<Client, BuildError> {
+    Client::builder()
+        .timeout(Duration::from_secs(30))
+        .build()
 }
 
 pub fn blocking() -> Blocking {
-    Blocking::new(Duration::from_secs(10))
+    Blocking::builder().timeout(Duration::from_secs(10)).build().expect("valid")
 }
 
+// access\u202E level
 #[cfg(test)]
 mod tests {
@@ -40,3 +44,4 @@ fn retries() {
     let client = client();
     assert_eq!(client.retries(), 3);
+    assert!(client.timeout().is_some());
 }
diff --git a/docs/upgrade.md b/docs/upgrade.md
new file mode 100644
index 0000000..9a1c0de
--- /dev/null
+++ b/docs/upgrade.md
@@ -0,0 +1,3 @@
+# Upgrade
+
+Use the builder.
diff --git a/old/legacy.rs b/old/legacy.rs
deleted file mode 100644
index 1234567..0000000
--- a/old/legacy.rs
+++ /dev/null
@@ -1,2 +0,0 @@
-pub fn legacy() {}
-// gone
`

/** Steps of a runbook, by its headings. */
export function stepsOf(text) {
  const found = []
  let fenced = false
  for (const line of text.split('\n')) {
    if (/^(```|~~~)/.test(line)) fenced = !fenced
    const heading = fenced ? null : /^#{1,6} (?:Step )?(\d+(?:\.\d+)*)[:.)] ?(.*)$/.exec(line)
    if (heading) found.push({ number: heading[1], title: heading[2], lines: [] })
    else found.at(-1)?.lines.push(line)
  }
  return found.map((step) => ({
    number: step.number,
    title: step.title,
    body: step.lines.join('\n').trim(),
    leaf: !found.some((other) => other.number.startsWith(`${step.number}.`)),
  }))
}

/** Two of the real linter's complaints. */
export function lint(text) {
  const diagnostics = []
  let expected = 1
  for (const [index, line] of text.split('\n').entries()) {
    const top = /^### Step (\d+):(.*)$/.exec(line)
    if (!top) continue
    if (Number(top[1]) !== expected)
      diagnostics.push({
        severity: 'error',
        code: 'step-numbering',
        message: `step ${top[1]} comes where step ${expected} was expected`,
        help: `number it ${expected}`,
        line: index + 1,
        column: 5,
      })
    if (top[2].trim() === '')
      diagnostics.push({
        severity: 'error',
        code: 'step-title',
        message: `step ${top[1]} has no title`,
        help: 'write what it achieves after the colon',
        line: index + 1,
        column: 5,
      })
    expected = Number(top[1]) + 1
  }
  return diagnostics
}
