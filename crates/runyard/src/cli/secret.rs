//! `runyard secret`.

use super::JsonArg;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `runyard secret`.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Store a secret
    #[command(after_help = "\
The value is read from standard input, or from a file; never from the command line, which others can see.
It is shown never again. Commands, logs and pages mask it wherever it turns up.

Examples:
  runyard secret set ANTHROPIC_API_KEY < key.txt
  runyard secret set DEPLOY_KEY --from-file id_ed25519")]
    Set(SecretArgs),
    /// Give a stored secret another value; the old one is overwritten, and masked until the server ends
    #[command(after_help = "Example: runyard secret rotate ANTHROPIC_API_KEY < new-key.txt")]
    Rotate(SecretArgs),
    /// List the stored secrets, without their values
    List(JsonArg),
    /// Remove a stored secret
    Remove {
        /// Its name
        name: String,
    },
    /// Seal all stored secrets under a new key
    #[command(after_help = "\
The new key becomes the first of the keyring; the old ones stay in it until --forget-old, so that older backups of the
database can be read. When it is cut off, run it again: it goes on with the same new key.")]
    RotateKey {
        /// Take the old keys out of the keyring: what only older backups hold cannot be read any more
        #[arg(long)]
        forget_old: bool,
    },
}

/// A name, and where the value is.
#[derive(Debug, Args)]
pub struct SecretArgs {
    /// Its name: letters, digits, `_`, `-`, `.`
    pub name: String,
    /// The file that holds the value, instead of standard input
    #[arg(long, value_name = "FILE")]
    pub from_file: Option<PathBuf>,
}
