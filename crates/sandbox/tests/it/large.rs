//! Requests that are larger than anything honest: what fits works, what does not is refused in words, and the sandbox is
//! none the worse for it.

use crate::rig::*;
use sandbox::{Error, ExecSpec, Sandbox};
use std::sync::Arc;

/// What the program wrote, or why there is none.
async fn outcome(sandbox: &Arc<dyn Sandbox>, spec: ExecSpec) -> Result<String, Error> {
    let finished = sandbox.exec(spec).await?.run_to_end(1 << 20).await?;
    let text = String::from_utf8_lossy(&[finished.stdout, finished.stderr].concat()).trim().to_owned();
    assert!(finished.status.success() || !text.is_empty(), "it failed without a word: {:?}", finished.status);
    Ok(text)
}

#[tokio::test]
async fn arguments_and_variables_beyond_measure_are_refused_in_words() {
    let rig = Rig::new();
    let sandbox = rig.sandbox().await;
    let counts = |length: usize| {
        ExecSpec::new(new_exec(), ["/bin/bash", "-c", "printf %s ${#1}", "-", "x".repeat(length).as_str()])
    };
    assert_eq!(outcome(&sandbox, counts(100_000)).await.unwrap(), "100000");
    // The kernel takes 128 KiB for one argument; the program never starts, and its end says why.
    let refused = outcome(&sandbox, counts(200_000)).await;
    let words = refused.unwrap_or_else(|error| error.to_string());
    assert!(words.contains("too long") || words.contains("too large"), "{words}");
    // A request is at most 1 MiB.
    for length in [2 << 20, 64 << 20] {
        let refused = outcome(&sandbox, counts(length)).await;
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{length}: {refused:?}");
    }

    let mut many = sh("env | grep -c ^V");
    many.env = (0..10_000).map(|n| (format!("V{n}"), "x".to_owned())).collect();
    assert_eq!(outcome(&sandbox, many).await.unwrap(), "10000");
    let mut large = sh("true");
    large.env = vec![("V".to_owned(), "x".repeat(2 << 20))];
    assert!(matches!(outcome(&sandbox, large).await, Err(Error::TooLarge { .. })));
    for (name, value) in [("A\0B", "x"), ("A=B", "x"), ("", "x"), ("A", "x\0y")] {
        let mut odd = sh("env");
        odd.env = vec![(name.to_owned(), value.to_owned())];
        let shown = outcome(&sandbox, odd).await;
        assert!(shown.is_err(), "{name:?}={value:?} gave {shown:?}");
    }
    assert_eq!(say(&sandbox, "echo fine").await, "fine");
}
