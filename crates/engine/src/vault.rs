//! The stored secrets of this server's account, and the key of the Messages API.

#[cfg(test)]
mod tests;

use crate::{Problem, ProblemCode, SecretLine, halt::chain};
use domain::{AccountId, SecretId, Timestamp};
use parking_lot::Mutex;
use rand::{TryRngCore as _, rngs::OsRng};
use secrets::{Keyring, KeyringError, Known, Secret, key_of};
use std::{collections::HashMap, path::PathBuf, sync::Arc};
use store::{Reseal, SealedSecret, Vault};

/// So many envelopes are changed in one transaction.
const BATCH: usize = 200;

/// The longest name of a secret, in characters.
const LONGEST_NAME: usize = 64;

/// Everything that has to do with secrets, for [`crate::Parts`].
pub struct Secrets {
    /// The Messages API's key, from outside.
    pub key: Option<Secret>,
    /// The name of the stored secret that is the key when there is none from outside.
    pub key_name: Option<String>,
    /// What this process knows to be secret. The record, the log and the answers must be made with the same one.
    pub known: Known,
    /// Where secrets are stored.
    pub vault: Arc<dyn Vault>,
    /// The file of the keys under which they are sealed.
    pub keyring: PathBuf,
}

/// The secrets while the engine runs.
pub(crate) struct Keys {
    pub known: Known,
    key: Option<Secret>,
    stored: Option<Stored>,
}

struct Stored {
    key_name: Option<String>,
    vault: Arc<dyn Vault>,
    keyring: PathBuf,
    /// The envelopes whose values are known already.
    opened: Mutex<HashMap<SecretId, Vec<u8>>>,
}

impl Keys {
    pub fn new(secrets: Secrets) -> Self {
        let Secrets { key, key_name, known, vault, keyring } = secrets;
        let stored = Some(Stored { key_name, vault, keyring, opened: Mutex::default() });
        let keys = Self { known, key, stored };
        if let Some(key) = &keys.key {
            keys.learn(key);
        }
        keys
    }

    /// No secrets, for tests and simulations.
    #[cfg(any(test, feature = "simulation"))]
    pub fn none() -> Self {
        Self { known: Known::nothing(), key: None, stored: None }
    }

    /// A weak key is hidden at the way out only: in the record it could not be told from ordinary words.
    fn learn(&self, secret: &Secret) {
        if !secret.is_weak() {
            self.known.learn([secret]);
        }
    }

    fn stored(&self) -> Result<&Stored, Problem> {
        self.stored.as_ref().ok_or_else(|| Problem::new(ProblemCode::Environment, "there are no stored secrets here"))
    }

    /// The Messages API's key; none when nothing says where it is.
    pub async fn model_key(&self, account: AccountId) -> Result<Option<Secret>, Problem> {
        self.refresh(account).await?;
        let Some(stored) = &self.stored else { return Ok(self.key.clone()) };
        match (&self.key, &stored.key_name) {
            (Some(key), _) => Ok(Some(key.clone())),
            (None, Some(name)) => stored.value(account, name, "anthropic.key_secret").await.map(Some),
            (None, None) => Ok(None),
        }
    }

    /// The value of the stored secret that a setting names.
    pub async fn named(&self, account: AccountId, name: &str, setting: &str) -> Result<Secret, Problem> {
        self.refresh(account).await?;
        self.stored()?.value(account, name, setting).await
    }

    /// Gets to know the values of all stored secrets, also of those that another server stored.
    pub async fn refresh(&self, account: AccountId) -> Result<(), Problem> {
        let Some(stored) = &self.stored else { return Ok(()) };
        let rows = stored.vault.secrets(account).await?;
        let is_new = |row: &&SealedSecret| stored.opened.lock().get(&row.id) != Some(&row.sealed);
        let new: Vec<&SealedSecret> = rows.iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        let keyring = stored.keyring(true)?;
        let values = new.iter().map(|row| open(&keyring, row)).collect::<Result<Vec<_>, _>>()?;
        self.known.learn(&values);
        let mut opened = stored.opened.lock();
        opened.extend(new.into_iter().map(|row| (row.id, row.sealed.clone())));
        Ok(())
    }

    /// All stored secrets, without their values.
    pub async fn list(&self, account: AccountId) -> Result<Vec<SecretLine>, Problem> {
        let rows = self.stored()?.vault.secrets(account).await?;
        let line = |row: SealedSecret| SecretLine {
            id: row.id,
            key: key_of(&row.sealed).map(|key| key.to_string()).unwrap_or_default(),
            name: row.name,
            created_at: row.created_at,
            changed_at: row.changed_at,
        };
        Ok(rows.into_iter().map(line).collect())
    }

    /// Stores a value that the caller sealed for the secret with this id.
    pub async fn put(&self, new: SealedSecret, replace: bool) -> Result<(), Problem> {
        let stored = self.stored()?;
        check_name(&new.name)?;
        let value = open(&stored.keyring(false)?, &new)?;
        Secret::to_keep(value.expose(), "the value")
            .map_err(|error| Problem::new(ProblemCode::BadRequest, error.to_string()))?;
        // Known before it is stored: from then on it may be met anywhere.
        self.known.learn([&value]);
        if replace {
            stored.vault.replace_secret(&new).await?;
        } else {
            stored.vault.add_secret(&new).await.map_err(|error| match error {
                store::StoreError::Conflict { .. } => {
                    let name = &new.name;
                    Problem::new(ProblemCode::Conflict, format!("there is a secret `{name}` already"))
                        .mend(format!("give it another value: runyard secret rotate {name}"))
                }
                error => error.into(),
            })?;
        }
        stored.opened.lock().insert(new.id, new.sealed);
        Ok(())
    }

    /// Removes a secret; its value stays hidden as long as this process lives.
    pub async fn remove(&self, account: AccountId, name: &str) -> Result<(), Problem> {
        if self.stored()?.vault.remove_secret(account, name).await? { Ok(()) } else { Err(unknown(name)) }
    }

    /// Seals everything under the keyring's current key that is not yet; how many were and how many are not. It may be cut
    /// off anywhere: each row is readable before and after, and the next time goes on with the rest.
    pub async fn reseal(&self, account: AccountId) -> Result<(usize, usize), Problem> {
        let stored = self.stored()?;
        let mut sealed = 0;
        // A second look finds what was stored meanwhile by somebody who still had the old keyring.
        for _ in 0..2 {
            let rows = stored.vault.secrets(account).await?;
            if rows.is_empty() {
                return Ok((sealed, 0));
            }
            let keyring = stored.keyring(true)?;
            for rows in rows.chunks(BATCH) {
                let reseals = rows.iter().filter_map(|row| reseal(&keyring, row).transpose());
                let reseals = reseals.collect::<Result<Vec<_>, _>>()?;
                if !reseals.is_empty() {
                    sealed += stored.vault.reseal_secrets(&reseals).await?;
                }
            }
        }
        stored.vault.wipe_removed().await?;
        let (rows, current) = (stored.vault.secrets(account).await?, stored.keyring(true)?.current());
        Ok((sealed, rows.iter().filter(|row| key_of(&row.sealed) != Ok(current)).count()))
    }
}

impl Stored {
    async fn value(&self, account: AccountId, name: &str, setting: &str) -> Result<Secret, Problem> {
        let rows = self.vault.secrets(account).await?;
        let row = rows.iter().find(|row| row.name == name).ok_or_else(|| {
            Problem::new(ProblemCode::Environment, format!("{setting} names `{name}`, which is not stored"))
                .mend(format!("store it: runyard secret set {name}"))
        })?;
        open(&self.keyring(true)?, row)
    }

    /// The keys, read anew each time: they are in memory only as long as they are used, and a new one is seen at once.
    fn keyring(&self, holds_secrets: bool) -> Result<Keyring, Problem> {
        Keyring::read(&self.keyring).map_err(|error| {
            let problem = Problem::new(ProblemCode::Environment, chain(&error));
            match error {
                KeyringError::Missing(_) if holds_secrets => {
                    let message = format!("{problem}, and the database holds secrets that are sealed under its keys");
                    Problem::new(ProblemCode::Environment, message).mend(
                        "put the file back from where you keep a copy; what cannot be read any more is let go of with \
                         `runyard secret remove NAME`",
                    )
                }
                _ => problem,
            }
        })
    }
}

fn open(keyring: &Keyring, row: &SealedSecret) -> Result<Secret, Problem> {
    keyring.open(&SealedSecret::seat(&row.id), &row.sealed).map_err(|error| unreadable(row, &error))
}

fn reseal(keyring: &Keyring, row: &SealedSecret) -> Result<Option<Reseal>, Problem> {
    let to = keyring
        .reseal(&SealedSecret::seat(&row.id), &row.sealed, &mut OsRng.unwrap_err())
        .map_err(|error| unreadable(row, &error))?;
    Ok(to.map(|to| Reseal { id: row.id, from: row.sealed.clone(), to }))
}

fn unreadable(row: &SealedSecret, error: &secrets::EnvelopeError) -> Problem {
    let name = &row.name;
    Problem::new(ProblemCode::Environment, format!("the stored secret `{name}` cannot be read: {error}"))
        .mend(format!("put the right keyring in place, or let go of it: runyard secret remove {name}"))
}

fn unknown(name: &str) -> Problem {
    Problem::new(ProblemCode::NotFound, format!("there is no secret `{}`", name.escape_debug()))
        .mend("`runyard secret list` shows all secrets")
}

fn check_name(name: &str) -> Result<(), Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(fits) {
        return Ok(());
    }
    let message = format!("`{}` is no name for a secret", name.escape_debug());
    Err(Problem::new(ProblemCode::BadRequest, message)
        .mend("use at most 64 letters, digits, `_`, `-` and `.`, such as ANTHROPIC_API_KEY"))
}

/// A value as it comes over the control socket.
pub(crate) fn sealed(
    id: SecretId,
    account: AccountId,
    name: String,
    sealed: &str,
    now: Timestamp,
) -> Result<SealedSecret, Problem> {
    let sealed = hex::decode(sealed)
        .map_err(|_| Problem::new(ProblemCode::BadRequest, "the sealed value is not in hexadecimal"))?;
    Ok(SealedSecret { id, account, name, sealed, created_at: now, changed_at: now })
}
