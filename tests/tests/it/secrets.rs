//! Stored secrets, as a person uses them.

use crate::{happy::two_files, scripts::script};
use product_tests::{Finished, KEY, World};
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;

const FILES: [(&str, &str); 1] = [("README.md", "# Files\n")];
const VALUE: &str = "tok_9f86d081884c7d659a2feaa0c55ad015";
const OTHER: &str = "tok_60303ae22b998861bce3b28f33eec1be";

/// `runyard secret WHAT NAME` with a value on standard input.
pub async fn typed(world: &World, what: &str, name: &str, value: &str) -> Finished {
    let mut running = world.start(["secret", what, name]);
    running.type_line(value).await;
    running.ends().await
}

async fn listed(world: &World) -> Vec<(String, String)> {
    let text = |line: &Value, field: &str| line[field].as_str().expect("text").to_owned();
    let lines = world.json(["secret", "list", "--json"]).await;
    lines.as_array().expect("a list").iter().map(|line| (text(line, "name"), text(line, "key"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_stored_replaced_listed_and_removed_and_never_shown() {
    let world = World::new(&script(&[]), &FILES).await;
    let set = typed(&world, "set", "TOKEN", VALUE).await.expect_code(0);
    assert!(set.said().contains("stored TOKEN") && set.stderr.contains("made the keyring"), "{}", set.said());
    assert_eq!(world.keyring().metadata().expect("made").permissions().mode() & 0o777, 0o600);
    let again = typed(&world, "set", "TOKEN", OTHER).await.expect_code(2);
    assert!(again.stderr.contains("runyard secret rotate TOKEN"), "{}", again.said());
    let rotated = typed(&world, "rotate", "TOKEN", OTHER).await.expect_code(0);
    let list = world.runyard(["secret", "list"]).await.expect_code(0);
    let removed = world.runyard(["secret", "remove", "TOKEN"]).await.expect_code(0);
    assert!(removed.stderr.contains("backups"), "{}", removed.said());
    assert_eq!(listed(&world).await, []);
    for printed in [set, again, rotated, list, removed] {
        assert!(!printed.said().contains(&VALUE[4..16]) && !printed.said().contains(&OTHER[4..16]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_secret_is_refused_with_words() {
    let world = World::new(&script(&[]), &FILES).await;
    for (name, value, code, wanted) in [
        ("TOKEN", "hunter2", 2, "too short or too simple"),
        ("TOKEN", "", 2, "is empty"),
        ("no name", VALUE, 2, "is no name for a secret"),
    ] {
        let refused = typed(&world, "set", name, value).await.expect_code(code);
        assert!(refused.stderr.contains(wanted), "{name:?} {value:?}: {}", refused.said());
        assert!(value.is_empty() || !refused.said().contains(value));
    }
    let missing = typed(&world, "rotate", "TOKEN", VALUE).await.expect_code(2);
    assert!(missing.stderr.contains("runyard secret list"), "{}", missing.said());
    world.runyard(["secret", "remove", "TOKEN"]).await.expect_code(2);
    let mut inside = world.command(["secret", "list"]);
    inside.env("RUNYARD_SECRETS_KEYRING", world.data().join("keyring"));
    let refused = product_tests::Running::start(&mut inside).ends().await.expect_code(2);
    assert!(refused.stderr.contains("within the data directory"), "{}", refused.said());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_or_missing_keyring_is_told_and_no_new_one_is_made_over_what_is_stored() {
    let world = World::new(&script(&[]), &FILES).await;
    typed(&world, "set", "TOKEN", VALUE).await.expect_code(0);
    let (keyring, kept) = (world.keyring(), world.path().join("kept"));
    std::fs::rename(&keyring, &kept).expect("moved");

    let refused = typed(&world, "set", "OTHER", OTHER).await.expect_code(4);
    assert!(refused.stderr.contains("there is no keyring") && !keyring.exists(), "{}", refused.said());
    let serve = world.runyard(["serve"]).await.expect_code(4);
    assert!(serve.stderr.contains("put the file back"), "{}", serve.said());

    // The keyring of another place.
    let other = World::new(&script(&[]), &FILES).await;
    typed(&other, "set", "TOKEN", OTHER).await.expect_code(0);
    std::fs::copy(other.keyring(), &keyring).expect("copied");
    for refused in [typed(&world, "set", "OTHER", OTHER).await, world.runyard(["serve"]).await] {
        assert!(refused.stderr.contains("not in the keyring") || refused.stderr.contains("does not hold the key"));
        refused.expect_code(4);
    }
    assert_eq!(listed(&world).await.len(), 1, "looking needs no keyring");

    std::fs::copy(&kept, &keyring).expect("copied");
    std::fs::set_permissions(&keyring, std::fs::Permissions::from_mode(0o644)).expect("opened");
    let open = world.runyard(["serve"]).await.expect_code(4);
    assert!(open.stderr.contains("chmod 600"), "{}", open.said());
    std::fs::set_permissions(&keyring, std::fs::Permissions::from_mode(0o600)).expect("closed");
    typed(&world, "set", "OTHER", OTHER).await.expect_code(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_of_the_key_that_is_killed_is_finished_and_nothing_is_unreadable() {
    let mut world = World::new(&script(&[]), &FILES).await;
    for n in 0..3 {
        typed(&world, "set", &format!("TOKEN_{n}"), &format!("{VALUE}{n}")).await.expect_code(0);
    }
    let old = listed(&world).await[0].1.clone();
    world.program = Some(product_tests::runyard_with_crash_points());
    let keys = |world: &World| std::fs::read_to_string(world.keyring()).expect("read").matches("\nkey ").count();
    // Account and person come first; the third transaction seals anew. It is killed before and after it counts.
    for (point, resealed) in [("crash-transaction-written=kill@3", 0), ("crash-transaction-done=kill@3", 3)] {
        world.environment = vec![("RUNYARD_FAILPOINTS".to_owned(), point.to_owned())];
        let died = world.runyard(["secret", "rotate-key"]).await;
        assert_eq!(died.code, None, "{}", died.said());
        world.environment.clear();
        assert_eq!(keys(&world), 2, "the old key and the same new one");
        let now = listed(&world).await;
        assert_eq!(now.iter().filter(|(_, key)| *key != old).count(), resealed, "after {point}: {now:?}");
        // What cannot be read would be refused.
        typed(&world, "rotate", "TOKEN_0", &format!("{VALUE}x")).await.expect_code(0);
        if resealed == 0 {
            // That was sealed under the new key, so that two are left.
            assert_eq!(listed(&world).await.iter().filter(|(_, key)| *key == old).count(), 2);
        }
    }

    // A server reads every row, whatever it is sealed under.
    world.serve().await.killed().await;
    let done = world.runyard(["secret", "rotate-key", "--forget-old"]).await.expect_code(0);
    assert!(done.said().contains("is the only key left"), "{}", done.said());
    assert_eq!(keys(&world), 1);
    let now = listed(&world).await;
    assert!(now.iter().all(|(_, key)| *key == now[0].1 && *key != old), "{now:?}");
    world.serve().await.killed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_key_may_be_a_stored_secret() {
    let mut world = World::new(&two_files(), &FILES).await;
    typed(&world, "set", "MODEL_KEY", KEY).await.expect_code(0);
    world.patient();
    for (name, value) in [("ANTHROPIC_API_KEY", ""), ("RUNYARD_ANTHROPIC_KEY_SECRET", "MODEL_KEY")] {
        world.environment.push((name.to_owned(), value.to_owned()));
    }
    world.run("Write two files", &["--yes"]).ends().await.expect_code(0);
    world.assert_foreseen();
    world.runyard(["secret", "remove", "MODEL_KEY"]).await.expect_code(0);
    let refused = world.run("Write two files", &["--yes"]).ends().await.expect_code(4);
    assert!(refused.stderr.contains("runyard secret set MODEL_KEY"), "{}", refused.said());
}
