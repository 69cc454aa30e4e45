-- Addresses outside that are told of events: `events` is JSON, absent for all. Each telling is a delivery, written with
-- what it tells of; `last` is what came of its last attempt, as JSON. It does not refer to its webhook: a session at work
-- must not fail because somebody removes one at the same moment.
CREATE TABLE webhooks (
    id UUID PRIMARY KEY NOT NULL,
    account UUID NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE "C" NOT NULL,
    url TEXT NOT NULL,
    events TEXT,
    active BOOLEAN NOT NULL,
    switched_off TEXT,
    failing_since BIGINT,
    secret UUID NOT NULL,
    secret_made_at BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    UNIQUE (account, name)
);

CREATE TABLE deliveries (
    id UUID PRIMARY KEY NOT NULL,
    webhook UUID NOT NULL,
    event TEXT NOT NULL,
    session UUID,
    place BIGINT NOT NULL,
    data TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    last TEXT
);

CREATE INDEX deliveries_newest ON deliveries (webhook, created_at, id);
CREATE INDEX deliveries_due ON deliveries (webhook, due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_before ON deliveries (webhook, session, place) WHERE state = 'waiting';
