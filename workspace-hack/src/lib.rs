//! Empty: what matters is `Cargo.toml`, which asks of every dependency what the workspace as a whole asks of it.
