//! Blobs.

use super::{rows::SqlRows, statement::statements, value::values};
use crate::{StoreError, backend::BlobRows};
use async_trait::async_trait;
use domain::BlobHash;

statements! {
    ADD_BLOB("store a blob") = "INSERT INTO blobs (hash, size) VALUES ($1, $2) ON CONFLICT (hash) DO NOTHING";
    ADD_BLOB_CHUNK("store a blob") = "INSERT INTO blob_chunks (hash, number, data) VALUES ($1, $2, $3)";
    BLOB_SIZE("read a blob") = "SELECT size FROM blobs WHERE hash = $1";
    BLOB_CHUNKS("read a blob") = "SELECT data FROM blob_chunks WHERE hash = $1 ORDER BY number";
}

#[async_trait]
impl BlobRows for SqlRows {
    async fn add_blob(&mut self, hash: BlobHash, size: i64) -> Result<bool, StoreError> {
        Ok(self.write(&ADD_BLOB, values![hash, size]).await? == 1)
    }

    async fn add_blob_chunk(&mut self, hash: BlobHash, number: i64, data: &[u8]) -> Result<(), StoreError> {
        self.write(&ADD_BLOB_CHUNK, values![hash, number, data]).await.map(drop)
    }

    async fn blob_size(&mut self, hash: BlobHash) -> Result<Option<i64>, StoreError> {
        let row = self.one(&BLOB_SIZE, values![hash]).await?;
        row.map(|row| row.columns("blob").int()).transpose()
    }

    async fn blob_chunks(&mut self, hash: BlobHash) -> Result<Vec<Vec<u8>>, StoreError> {
        self.all(&BLOB_CHUNKS, values![hash]).await?.iter().map(|row| row.columns("blob").bytes()).collect()
    }
}
