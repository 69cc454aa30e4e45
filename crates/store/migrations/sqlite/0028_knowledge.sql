-- What the team knows: `piece` is JSON.
CREATE TABLE knowledge (
    id BLOB PRIMARY KEY NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL,
    owner BLOB,
    version INTEGER NOT NULL,
    piece TEXT NOT NULL,
    author BLOB,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    used INTEGER NOT NULL,
    used_at INTEGER
) STRICT;

CREATE INDEX knowledge_kind ON knowledge (account, kind);
