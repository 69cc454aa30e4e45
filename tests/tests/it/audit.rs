//! Who did what, as whoever has the machine reads it: told with what is done, proven, written out, and altered in vain.

use crate::{happy::two_files, scripts::script};
use product_tests::World;
use serde_json::Value;
use sqlx::Connection as _;

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];

fn told(list: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let entries = list.as_array().expect("a list").iter();
    entries.map(|entry| (text(&entry["action"]), text(&entry["target"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_is_told_proven_and_written_out_and_whoever_alters_it_is_found() {
    let world = World::new(&two_files(), &FILES).await;
    world.run("Add two files.", &["--yes"]).ends().await.expect_code(0);
    world.runyard(["user", "invite", "ada@example.org", "--role", "admin"]).await.expect_code(0);
    world.runyard(["user", "invite", "not an address"]).await.expect_code(2);
    world.runyard(["session", "archive", "1"]).await.expect_code(0);

    let list = world.json(["audit", "list", "--json"]).await;
    let mut actions = told(&list);
    actions.reverse();
    let wanted = [
        ("repository.add", ""),
        ("session.create", "r/1"),
        ("session.execute", "r/1"),
        ("link.invite", "ada@example.org"),
        ("session.archive", "r/1"),
    ];
    let names: Vec<_> = actions.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(names, wanted.map(|(action, _)| action), "what was refused is not told as done: {list}");
    assert!(actions.iter().zip(wanted).all(|(found, wanted)| wanted.1.is_empty() || found.1 == wanted.1), "{list}");
    assert_eq!(list[0]["kind"], "command_line");
    let some = world.json(["audit", "list", "--action", "session", "--since", "1h", "--text", "R/1", "--json"]).await;
    assert_eq!(told(&some).len(), 3, "{some}");
    let shown = world.runyard(["audit", "list", "--limit", "1"]).await.expect_code(0);
    assert!(shown.stdout.lines().count() == 1 && shown.stdout.contains("session.archive"), "{}", shown.said());

    let proof = world.json(["audit", "verify", "--json"]).await;
    assert_eq!((&proof["whole"], &proof["number"]), (&Value::from(true), &Value::from(5)), "{proof}");
    let mark = proof["mark"].as_str().expect("a mark").to_owned();
    let file = world.path().join("log.csv").display().to_string();
    world.runyard(["audit", "export", "--format", "csv", "-o", &file]).await.expect_code(0);
    assert_eq!(std::fs::read_to_string(&file).expect("is there").lines().count(), 6);
    world.runyard(["audit", "export", "-o", &file]).await.expect_code(2);
    world.runyard(["audit", "export", "-o", &file, "--force"]).await.expect_code(0);
    let first = std::fs::read_to_string(&file).expect("is there");
    assert!(first.starts_with('{'), "written over: {first}");
    let lines = world.runyard(["audit", "export"]).await.expect_code(0).stdout;
    assert_eq!(lines.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count(), 5);

    let database = world.data().join("runyard.db");
    let mut hand = sqlx::SqliteConnection::connect(database.to_str().expect("text")).await.expect("opens");
    let alter = "UPDATE audit SET deed = replace(deed, 'ada@', 'eve@') WHERE number = 4";
    sqlx::query(alter).execute(&mut hand).await.expect_err("a trigger refuses it");
    sqlx::query("DROP TRIGGER audit_is_not_changed").execute(&mut hand).await.expect("drops");
    sqlx::query(alter).execute(&mut hand).await.expect("alters");
    let found = world.runyard(["audit", "verify"]).await.expect_code(1);
    assert!(found.stderr.contains("entry 4 does not fit") && found.stderr.contains("help:"), "{}", found.said());
    let back = "UPDATE audit SET deed = replace(deed, 'eve@', 'ada@') WHERE number = 4";
    sqlx::query(back).execute(&mut hand).await.expect("alters");
    world.runyard(["audit", "verify"]).await.expect_code(0);
    sqlx::query("DROP TRIGGER audit_is_not_removed").execute(&mut hand).await.expect("drops");
    sqlx::query("DELETE FROM audit WHERE number = 5").execute(&mut hand).await.expect("cuts the end off");
    hand.close().await.expect("closes");
    world.runyard(["audit", "verify"]).await.expect_code(0);
    let noted = world.runyard(["audit", "verify", "--noted", &mark]).await.expect_code(1);
    assert!(noted.stderr.contains("entry 5 does not fit: it was noted, and is not there"), "{}", noted.said());
    world.runyard(["audit", "verify", "--noted", "5"]).await.expect_code(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_record_says_that_it_was_restored() {
    let world = World::new(&script(&[]), &FILES).await;
    world.runyard(["user", "invite", "ada@example.org"]).await.expect_code(0);
    let backup = world.path().join("a.backup").display().to_string();
    world.runyard(["backup", &backup]).await.expect_code(0);
    world.runyard(["restore", &backup, "--replace"]).await.expect_code(0);
    let list = world.json(["audit", "list", "--json"]).await;
    let actions = told(&list).into_iter().map(|(action, _)| action).collect::<Vec<_>>();
    assert_eq!(actions, ["record.restore", "link.invite"], "{list}");
    world.runyard(["audit", "verify"]).await.expect_code(0);
}
