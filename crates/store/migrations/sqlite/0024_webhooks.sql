-- Addresses outside that are told of events: `events` is JSON, absent for all. Each telling is a delivery, written with
-- what it tells of; `last` is what came of its last attempt, as JSON. It does not refer to its webhook: a session at work
-- must not fail because somebody removes one at the same moment.
CREATE TABLE webhooks (
    id BLOB PRIMARY KEY NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT,
    active INTEGER NOT NULL,
    switched_off TEXT,
    failing_since INTEGER,
    secret BLOB NOT NULL,
    secret_made_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    UNIQUE (account, name)
) STRICT;

CREATE TABLE deliveries (
    id BLOB PRIMARY KEY NOT NULL,
    webhook BLOB NOT NULL,
    event TEXT NOT NULL,
    session BLOB,
    place INTEGER NOT NULL,
    data TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    last TEXT
) STRICT;

CREATE INDEX deliveries_newest ON deliveries (webhook, created_at, id);
CREATE INDEX deliveries_due ON deliveries (webhook, due_at) WHERE state = 'waiting';
CREATE INDEX deliveries_before ON deliveries (webhook, session, place) WHERE state = 'waiting';
