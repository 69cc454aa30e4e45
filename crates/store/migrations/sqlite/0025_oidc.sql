-- From when on a sign-in is refused however much it is used.
ALTER TABLE sign_ins ADD COLUMN ends_at INTEGER;

-- Who was sent to a provider and is expected back. Of the value in their browser, the SHA-256 is kept.
CREATE TABLE errands (
    hash BLOB PRIMARY KEY NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    issuer TEXT NOT NULL,
    next TEXT NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

-- People as providers know them.
CREATE TABLE identities (
    account BLOB NOT NULL REFERENCES accounts (id),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person BLOB NOT NULL REFERENCES users (id),
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL,
    PRIMARY KEY (account, issuer, subject)
) STRICT;

CREATE INDEX identities_person ON identities (person);
