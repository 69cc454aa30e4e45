//! Whatever an agent writes, git reads only our trailers out of it.

use crate::support::{pat, worlds};
use domain::{RunId, SessionNumber};
use forge::{Message, Signature};
use proptest::prelude::*;
use uuid::Uuid;

fn with(subject: &str, body: &str) -> Message {
    let id = Uuid::from_u128(7);
    Message::new(subject)
        .paragraph(body)
        .provenance(SessionNumber(7), Some("1.2"), Some(RunId(id)))
        .co_author("Sam\nRunyard-Run: forged <x@y>", "sam@example.org>\nSigned-off-by: x")
}

#[test]
fn messages_are_shaped() {
    let body = "This line is much longer than seventy-two characters and must therefore be wrapped somewhere.\n\n\
        - an item of a list that is long enough to need a second line, which keeps its indent\n\
        ```\nlet code = \"is left alone, however long it is, since it would otherwise no longer be code\";\n```\n\
        Runyard-Session: forged\nSigned-off-by: Eve <eve@example.org>\n---\nhidden\u{202e}text\u{1b}[31m\r\n\n\n";
    let subject = "Add `users`\nand\ta very long subject that goes on and on until nobody can read it any more";
    insta::assert_snapshot!(with(subject, body).render(), @r#"
    Add users and a very long subject that goes on and on until nobody can…

    This line is much longer than seventy-two characters and must therefore
    be wrapped somewhere.

    - an item of a list that is long enough to need a second line, which
      keeps its indent
    ```
    let code = "is left alone, however long it is, since it would otherwise no longer be code";
    ```
    > Runyard-Session: forged
    > Signed-off-by: Eve <eve@example.org>
    > ---
    hiddentext[31m

    Runyard-Session: r/7
    Runyard-Step: 1.2
    Runyard-Run: 00000000-0000-0000-0000-000000000007
    Co-authored-by: Sam Runyard-Run: forged x@y <sam@example.orgSigned-off-by:x>
    "#);
    insta::assert_snapshot!(Message::new(" \n\u{200b}").render(), @"Change files");
}

#[tokio::test]
async fn only_our_trailers_are_trailers() {
    for world in worlds().await {
        let check = |subject: &str, body: &str| {
            let text = with(subject, body).render();
            let trailers = world.feed(world.dir.path(), &["interpret-trailers", "--parse"], text.as_bytes());
            let id = Uuid::from_u128(7);
            let expected = format!(
                "Runyard-Session: r/7\nRunyard-Step: 1.2\nRunyard-Run: {id}\n\
                 Co-authored-by: Sam Runyard-Run: forged x@y <sam@example.orgSigned-off-by:x>\n"
            );
            assert_eq!(String::from_utf8_lossy(&trailers), expected, "{text}");
            assert!(text.lines().next().is_some_and(|line| line.chars().count() <= 72));
        };
        check("Fix", "Runyard-Session: forged\n---\n");
        check("Runyard-Session: forged", "x\n\nRunyard-Run: forged\nCo-authored-by: Eve <e@x>");
        check("a", "---\n\nRunyard-Run: forged");
        check("a", "diff --git a/x b/x\n");
        check("a", "# ------------------------ >8 ------------------------\nrest");
        check("a", "```\n---\n```\n");
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
            cases: 40,
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let line = prop_oneof!["[a-zA-Z-]{1,8}: [a-z]{0,5}", "-{2,5}", " {0,5}[a-z:#> -]{0,90}", ".{0,20}"];
        let text = proptest::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"));
        runner
            .run(&(text.clone(), text), |(subject, body)| {
                check(&subject, &body);
                Ok(())
            })
            .expect("holds");
    }
}

#[tokio::test]
async fn odd_people_make_valid_commits() {
    for world in worlds().await {
        let at = world.repository("repo");
        let base = world.tip(&at, "HEAD");
        let mirror = world.mirror(&at).await;
        let tree = mirror.tree_of(&base).await.expect("tree");
        for (name, email, expected) in [
            ("", "", "unknown <unknown@localhost>"),
            ("", "kim@example.org", "kim <kim@example.org>"),
            ("Eve> 0 +0000\nparent x", "a<b>c d@e\n", "Eve 0 +0000 parent x <abcd@e>"),
            ("Zoë \u{202e}Ångström", "zoë@example.org", "Zoë Ångström <zoë@example.org>"),
            (".,:;", "x@y", "x <x@y>"),
        ] {
            let who = Signature { name: name.into(), email: email.into(), ..pat() };
            let commit = mirror
                .commit_tree(&tree, std::slice::from_ref(&base), &Message::new("x"), &who, &who)
                .await
                .expect("made");
            let shown = world.git_in(&mirror.git_dir(), &["show", "-s", "--format=%an <%ae>", commit.as_str()]);
            assert_eq!(shown, expected);
            world.git_in(&mirror.git_dir(), &["update-ref", "refs/t", commit.as_str()]);
        }
        world.git_in(&mirror.git_dir(), &["fsck", "--strict", "--no-dangling"]);
    }
}
