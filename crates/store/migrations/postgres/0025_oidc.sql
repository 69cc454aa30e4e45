-- From when on a sign-in is refused however much it is used.
ALTER TABLE sign_ins ADD COLUMN ends_at BIGINT;

-- Who was sent to a provider and is expected back. Of the value in their browser, the SHA-256 is kept.
CREATE TABLE errands (
    hash BYTEA PRIMARY KEY NOT NULL,
    account UUID NOT NULL REFERENCES accounts (id),
    issuer TEXT NOT NULL,
    next TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

-- People as providers know them.
CREATE TABLE identities (
    account UUID NOT NULL REFERENCES accounts (id),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person UUID NOT NULL REFERENCES users (id),
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL,
    PRIMARY KEY (account, issuer, subject)
);

CREATE INDEX identities_person ON identities (person);
