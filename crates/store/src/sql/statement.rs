//! Every statement by name, so that a test can prepare each of them on both databases.

/// One statement: a text that both databases understand, or a text for each.
#[derive(Debug)]
pub struct Statement {
    /// What it does, fit for "failed to …".
    pub(super) attempt: &'static str,
    /// The text for SQLite; empty when only PostgreSQL needs it.
    pub(super) sqlite: &'static str,
    /// The text for PostgreSQL.
    pub(super) postgres: &'static str,
}

/// Declares the statements of a module and `STATEMENTS`, the list of them: `NAME("what it does") = "the text for both";`
/// and `NAME("what it does") = "the text for SQLite", "the text for PostgreSQL";`.
macro_rules! statements {
    ($($name:ident($attempt:literal) = $sqlite:expr $(, $postgres:expr)?;)*) => {
        $(
            const $name: $crate::sql::statement::Statement = {
                let texts: &[&'static str] = &[$sqlite $(, $postgres)?];
                $crate::sql::statement::Statement {
                    attempt: $attempt,
                    sqlite: texts[0],
                    postgres: texts[texts.len() - 1],
                }
            };
        )*

        /// All statements of this module.
        pub(super) const STATEMENTS: &[&$crate::sql::statement::Statement] = &[$(&$name),*];
    };
}

pub(super) use statements;
