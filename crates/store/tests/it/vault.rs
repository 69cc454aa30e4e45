//! Stored secrets: kept sealed, replaced whole, and gone when they are removed.

use crate::{
    engines::{Engine, on_each, open},
    world::{account_id, id, settle},
};
use domain::{SecretId, Timestamp};
use store::{Reseal, SealedSecret, StoreError, Vault};

on_each!(secrets_are_added_replaced_and_removed, only_what_was_seen_is_resealed);

fn secret(n: u32, name: &str, sealed: &[u8]) -> SealedSecret {
    SealedSecret {
        id: SecretId(id(20, n)),
        account: account_id(1),
        name: name.to_owned(),
        sealed: sealed.to_owned(),
        created_at: Timestamp(1),
        changed_at: Timestamp(1),
    }
}

async fn names(vault: &dyn Vault) -> Vec<String> {
    vault.secrets(account_id(1)).await.expect("reads").into_iter().map(|secret| secret.name).collect()
}

async fn secrets_are_added_replaced_and_removed(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let vault = engine.vault();
    let (one, two) = (secret(1, "B_TOKEN", b"one"), secret(2, "a_token", b"two"));
    vault.add_secret(&one).await.expect("adds");
    vault.add_secret(&two).await.expect("adds");
    assert_eq!(vault.secrets(account_id(1)).await.expect("reads"), [one.clone(), two.clone()], "by name");
    let again = vault.add_secret(&secret(3, "B_TOKEN", b"three")).await;
    assert!(matches!(again, Err(StoreError::Conflict { what: "secret", .. })), "{again:?}");

    let newer = SealedSecret { sealed: b"newer".to_vec(), changed_at: Timestamp(9), ..one.clone() };
    vault.replace_secret(&newer).await.expect("replaces");
    assert_eq!(vault.secrets(account_id(1)).await.expect("reads")[0], newer);
    for other in [secret(1, "other", b""), secret(3, "B_TOKEN", b"")] {
        let wrong = vault.replace_secret(&other).await;
        assert!(matches!(wrong, Err(StoreError::Missing { what: "secret", .. })), "{wrong:?}");
    }

    assert!(vault.remove_secret(account_id(1), "B_TOKEN").await.expect("removes"));
    assert!(!vault.remove_secret(account_id(1), "B_TOKEN").await.expect("looks"));
    assert_eq!(names(&*vault).await, ["a_token"]);
}

async fn only_what_was_seen_is_resealed(engine: Engine) {
    settle(&*engine.store(), 1).await;
    let vault = engine.vault();
    for (n, name) in [(1, "a"), (2, "b"), (3, "c")] {
        vault.add_secret(&secret(n, name, b"old")).await.expect("adds");
    }
    let reseal = |n, from: &[u8]| Reseal { id: SecretId(id(20, n)), from: from.to_owned(), to: b"new".to_vec() };
    let reseals = [reseal(1, b"old"), reseal(2, b"another"), reseal(4, b"old")];
    assert_eq!(vault.reseal_secrets(&reseals).await.expect("seals"), 1);
    let sealed: Vec<_> = vault.secrets(account_id(1)).await.expect("reads").into_iter().map(|it| it.sealed).collect();
    assert_eq!(sealed, [&b"new"[..], b"old", b"old"]);
}

/// Windows of what was sealed in any file of the database.
fn left_over(dir: &std::path::Path, sealed: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        let bytes = std::fs::read(&path).expect("a file");
        if sealed.windows(12).step_by(12).any(|part| bytes.windows(12).any(|window| window == part)) {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test]
async fn nothing_of_a_removed_secret_is_left_in_the_files() {
    let dir = tempfile::tempdir().expect("a directory");
    let location = dir.path().join("store.db");
    let store = open(location.to_str().expect("text")).await;
    settle(&store, 1).await;
    let value = |n: u8| (0..200).map(|i: u8| n ^ i.wrapping_mul(31)).collect::<Vec<u8>>();
    let vault: &dyn Vault = &store;
    for n in 1..20 {
        vault.add_secret(&secret(u32::from(n), &format!("s{n}"), &value(n))).await.expect("adds");
    }
    assert_ne!(left_over(dir.path(), &value(7)), Vec::<String>::new(), "the search finds what is there");
    assert!(vault.remove_secret(account_id(1), "s7").await.expect("removes"));
    vault.replace_secret(&secret(8, "s8", b"short")).await.expect("replaces");
    assert_eq!(left_over(dir.path(), &value(7)), Vec::<String>::new(), "of a removed one");
    assert_eq!(left_over(dir.path(), &value(8)), Vec::<String>::new(), "of a replaced one");
    assert_ne!(left_over(dir.path(), &value(9)), Vec::<String>::new(), "the others are still there");
}
