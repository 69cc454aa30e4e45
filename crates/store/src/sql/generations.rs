//! The life of the record, and what a restore does to it.

use super::{
    Database, SqlStore,
    rows::{Held, SqlRows},
    statement::statements,
    value::{Value, values},
};
use crate::{
    StoreError,
    backend::{Backend as _, GenerationRows, Rows as _},
};
use async_trait::async_trait;
use domain::{EPOCHS_PER_GENERATION, Generation};

statements! {
    GENERATION("read the record's generation") =
        "SELECT record, number, instance, since, backed_up_at, unsettled FROM generation";
    ADD_GENERATION("begin the record") =
        "INSERT INTO generation (place, record, number, instance, since, backed_up_at, unsettled)
         VALUES (1, $1, $2, $3, $4, $5, $6) ON CONFLICT (place) DO NOTHING";
    PUT_GENERATION("begin a generation") =
        "INSERT INTO generation (place, record, number, instance, since, backed_up_at, unsettled)
         VALUES (1, $1, $2, $3, $4, $5, $6)
         ON CONFLICT (place) DO UPDATE SET record = excluded.record, number = excluded.number,
            instance = excluded.instance, since = excluded.since, backed_up_at = excluded.backed_up_at,
            unsettled = excluded.unsettled";
    SETTLE_GENERATION("settle a generation") = "UPDATE generation SET unsettled = $2 WHERE instance = $1";
    FENCE_LEASES("fence what runs elsewhere") = "UPDATE leases SET owner = NULL, beat = 0, epoch = epoch + $1";
    QUEUE_AGAIN("queue what was running") =
        "UPDATE actions SET state = 'queued', handed_back = handed_back + 1 WHERE state = 'running'";
    FORGET_SANDBOXES("forget sandboxes") = "UPDATE sandboxes SET state = 'destroyed' WHERE state <> 'destroyed'";
}

#[async_trait]
impl GenerationRows for SqlRows {
    async fn generation(&mut self) -> Result<Option<Generation>, StoreError> {
        let row = self.one(&GENERATION, values![]).await?;
        row.map(|row| {
            let mut columns = row.columns("generation");
            Ok(Generation {
                record: columns.uuid()?,
                number: columns.int()?,
                instance: columns.uuid()?,
                since: columns.time()?,
                backed_up_at: columns.maybe_int()?.map(domain::Timestamp),
                unsettled: columns.bool()?,
            })
        })
        .transpose()
    }

    async fn add_generation(&mut self, new: &Generation) -> Result<(), StoreError> {
        self.write(&ADD_GENERATION, row(new)).await.map(drop)
    }

    async fn settle_generation(&mut self, instance: uuid::Uuid) -> Result<(), StoreError> {
        self.write(&SETTLE_GENERATION, values![instance, false]).await.map(drop)
    }
}

fn row(new: &Generation) -> Vec<Value> {
    values![new.record, new.number, new.instance, new.since, new.backed_up_at, new.unsettled]
}

impl SqlStore {
    /// Makes a record that was read back from a backup the beginning of `new`: in one transaction nobody holds a lease
    /// any more, every epoch is beyond what an instance can reach that goes on from the same backup, what was running
    /// is queued again without a lost attempt, and sandboxes, which no backup holds, are gone.
    pub async fn begin_generation(&self, new: &Generation) -> Result<(), StoreError> {
        let rows = match &self.database {
            Database::Sqlite { writer, .. } => writer.begin_with("BEGIN IMMEDIATE").await.map(Held::SqliteWrite),
            Database::Postgres(pool) => pool.begin().await.map(Held::PostgresWrite),
        }
        .map_err(|error| super::rows::failed("begin a transaction", error))?;
        let mut rows = SqlRows::new(rows, &self.asked);
        rows.write(&PUT_GENERATION, row(new)).await?;
        rows.write(&FENCE_LEASES, values![EPOCHS_PER_GENERATION]).await?;
        rows.write(&QUEUE_AGAIN, values![]).await?;
        rows.write(&FORGET_SANDBOXES, values![]).await?;
        Box::new(rows).commit().await
    }

    /// The generation of the record, none when nothing ever worked on it.
    pub async fn known_generation(&self) -> Result<Option<Generation>, StoreError> {
        self.read().await?.generation().await
    }
}
