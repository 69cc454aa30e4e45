use super::*;
use async_trait::async_trait;
use domain::{Account, SystemMint};
use std::sync::atomic::{AtomicUsize, Ordering};
use store::{MemoryStore, Store as _, StoreError};

/// Several batches and a part of one.
const ROWS: usize = 7 * BATCH + 13;

/// A vault that is cut off at every other act: before it, or when it is done and the answer is lost.
struct CutOff {
    vault: Arc<MemoryStore>,
    acts: AtomicUsize,
}

#[async_trait]
impl Vault for CutOff {
    async fn add_secret(&self, new: &SealedSecret) -> Result<(), StoreError> {
        self.vault.add_secret(new).await
    }

    async fn replace_secret(&self, new: &SealedSecret) -> Result<(), StoreError> {
        self.vault.replace_secret(new).await
    }

    async fn secrets(&self, account: AccountId) -> Result<Vec<SealedSecret>, StoreError> {
        self.vault.secrets(account).await
    }

    async fn remove_secret(&self, account: AccountId, name: &str) -> Result<bool, StoreError> {
        self.vault.remove_secret(account, name).await
    }

    async fn reseal_secrets(&self, reseals: &[Reseal]) -> Result<usize, StoreError> {
        assert!(reseals.len() <= BATCH, "a transaction is as large as the table");
        let lost = || Err(StoreError::Damaged { what: "connection", detail: "it was cut off".to_owned() });
        match self.acts.fetch_add(1, Ordering::Relaxed) % 4 {
            1 => lost(),
            3 => self.vault.reseal_secrets(reseals).await.and_then(|_| lost()),
            _ => self.vault.reseal_secrets(reseals).await,
        }
    }

    async fn wipe_removed(&self) -> Result<(), StoreError> {
        self.vault.wipe_removed().await
    }
}

fn value(n: usize) -> String {
    format!("tok_9f86d081884c7d65_{n}")
}

#[tokio::test]
async fn a_rotation_that_is_cut_off_again_and_again_ends_with_every_row_readable_under_the_new_key() {
    let mint = SystemMint;
    let dir = tempfile::tempdir().expect("a folder");
    let keyring = dir.path().join("keyring");
    let store = Arc::new(MemoryStore::new());
    let account = Account { id: AccountId::new(&mint), name: "default".to_owned() };
    store.account(&account).await.expect("an account");
    let old = Keyring::create(&keyring, &mut OsRng.unwrap_err()).expect("a keyring");
    let mut numbers = HashMap::new();
    for n in 0..ROWS {
        let id = SecretId::new(&mint);
        let sealed = old.seal(&SealedSecret::seat(&id), &Secret::new(value(n)), &mut OsRng.unwrap_err());
        let (account, name, at) = (account.id, format!("TOKEN_{n}"), Timestamp(1));
        let row = SealedSecret { id, account, name, sealed, created_at: at, changed_at: at };
        store.add_secret(&row).await.expect("added");
        numbers.insert(id, n);
    }
    let new = Keyring::renew(&keyring, &mut OsRng.unwrap_err()).expect("a new key").current();
    let vault = Arc::new(CutOff { vault: store.clone(), acts: AtomicUsize::new(0) });
    let keys =
        Keys::new(Secrets { key: None, key_name: None, known: Known::nothing(), vault, keyring: keyring.clone() });

    let under_old = async || {
        let keyring = Keyring::read(&keyring).expect("the keyring");
        let rows = store.secrets(account.id).await.expect("read");
        for row in &rows {
            let opened = open(&keyring, row).expect("every row is readable at every moment");
            assert_eq!(opened.expose(), value(numbers[&row.id]));
        }
        rows.iter().filter(|row| key_of(&row.sealed) != Ok(new)).count()
    };
    let (mut left, mut tries) = (ROWS, 0);
    loop {
        tries += 1;
        let outcome = keys.reseal(account.id).await;
        let now = under_old().await;
        if let Ok((_, reported)) = outcome {
            assert_eq!((now, reported), (0, 0));
            break;
        }
        assert!(now < left, "it goes on with the rest: {left} before and {now} after try {tries}");
        left = now;
    }
    assert!(tries > 3, "it was cut off {} times", tries - 1);
    Keyring::forget_old(&keyring).expect("the old key goes");
    assert_eq!(under_old().await, 0);
}
