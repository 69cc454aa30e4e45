ALTER TABLE users ADD COLUMN password TEXT;
ALTER TABLE users ADD COLUMN active INTEGER NOT NULL DEFAULT 1;

-- Of values that only their bearer has, the SHA-256 is kept.
CREATE TABLE sign_ins (
    id BLOB PRIMARY KEY NOT NULL,
    person BLOB NOT NULL REFERENCES users (id),
    hash BLOB NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sign_ins_person ON sign_ins (person);

CREATE TABLE tokens (
    id BLOB PRIMARY KEY NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    person BLOB REFERENCES users (id),
    name TEXT NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    used_at INTEGER
) STRICT;

CREATE INDEX tokens_account ON tokens (account);

CREATE TABLE links (
    id BLOB PRIMARY KEY NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    purpose TEXT NOT NULL,
    email TEXT,
    role TEXT NOT NULL,
    invited_by BLOB REFERENCES users (id),
    hash BLOB NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX links_account ON links (account);
