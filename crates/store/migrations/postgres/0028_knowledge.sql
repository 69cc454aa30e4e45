-- What the team knows: `piece` is JSON.
CREATE TABLE knowledge (
    id UUID PRIMARY KEY NOT NULL,
    account UUID NOT NULL REFERENCES accounts (id),
    kind TEXT NOT NULL,
    owner UUID,
    version BIGINT NOT NULL,
    piece TEXT NOT NULL,
    author UUID,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    used BIGINT NOT NULL,
    used_at BIGINT
);

CREATE INDEX knowledge_kind ON knowledge (account, kind);
