ALTER TABLE users ADD COLUMN password TEXT;
ALTER TABLE users ADD COLUMN active BOOLEAN NOT NULL DEFAULT TRUE;

-- Of values that only their bearer has, the SHA-256 is kept.
CREATE TABLE sign_ins (
    id UUID PRIMARY KEY NOT NULL,
    person UUID NOT NULL REFERENCES users (id),
    hash BYTEA NOT NULL UNIQUE,
    agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);

CREATE INDEX sign_ins_person ON sign_ins (person);

CREATE TABLE tokens (
    id UUID PRIMARY KEY NOT NULL,
    account UUID NOT NULL REFERENCES accounts (id),
    person UUID REFERENCES users (id),
    name TEXT NOT NULL,
    hash BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    used_at BIGINT
);

CREATE INDEX tokens_account ON tokens (account);

CREATE TABLE links (
    id UUID PRIMARY KEY NOT NULL,
    account UUID NOT NULL REFERENCES accounts (id),
    purpose TEXT NOT NULL,
    email TEXT,
    role TEXT NOT NULL,
    invited_by UUID REFERENCES users (id),
    hash BYTEA NOT NULL UNIQUE,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX links_account ON links (account);
