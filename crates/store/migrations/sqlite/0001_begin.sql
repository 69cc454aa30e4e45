CREATE TABLE accounts (
    id BLOB PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    sessions INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id BLOB PRIMARY KEY NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    UNIQUE (account, email)
) STRICT;

CREATE TABLE repositories (
    id BLOB PRIMARY KEY NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    forge TEXT NOT NULL,
    location TEXT NOT NULL,
    pull_requests INTEGER NOT NULL,
    UNIQUE (account, name)
) STRICT;

CREATE TABLE sessions (
    id BLOB PRIMARY KEY NOT NULL,
    number INTEGER NOT NULL,
    account BLOB NOT NULL REFERENCES accounts (id),
    repository BLOB NOT NULL REFERENCES repositories (id),
    requester BLOB NOT NULL REFERENCES users (id),
    title TEXT NOT NULL,
    prompt TEXT NOT NULL,
    mode TEXT NOT NULL,
    pr_mode TEXT NOT NULL,
    draft INTEGER NOT NULL,
    labels TEXT NOT NULL,
    target_branch TEXT NOT NULL,
    base TEXT NOT NULL,
    budget TEXT NOT NULL,
    run_budget TEXT NOT NULL,
    agent_session BLOB NOT NULL,
    version INTEGER NOT NULL,
    last_event INTEGER NOT NULL,
    usage TEXT NOT NULL,
    archived INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    served INTEGER NOT NULL,
    UNIQUE (account, number)
) STRICT;

CREATE INDEX sessions_served ON sessions (served);

CREATE TABLE leases (
    session BLOB PRIMARY KEY NOT NULL REFERENCES sessions (id),
    account BLOB NOT NULL REFERENCES accounts (id),
    owner BLOB,
    epoch INTEGER NOT NULL,
    beat INTEGER NOT NULL
) STRICT;

CREATE INDEX leases_held ON leases (account) WHERE owner IS NOT NULL;

CREATE TABLE events (
    session BLOB NOT NULL REFERENCES sessions (id),
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (session, number)
) STRICT;

CREATE TABLE runbooks (
    session BLOB NOT NULL REFERENCES sessions (id),
    version INTEGER NOT NULL,
    body TEXT NOT NULL,
    steps TEXT NOT NULL,
    author BLOB,
    restores INTEGER,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (session, version)
) STRICT;

CREATE TABLE steps (
    id BLOB PRIMARY KEY NOT NULL,
    session BLOB NOT NULL REFERENCES sessions (id),
    state TEXT NOT NULL,
    agent_session BLOB NOT NULL,
    usage TEXT NOT NULL
) STRICT;

CREATE INDEX steps_session ON steps (session);

CREATE TABLE actions (
    id BLOB PRIMARY KEY NOT NULL,
    session BLOB NOT NULL REFERENCES sessions (id),
    position INTEGER NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    handed_back INTEGER NOT NULL,
    stop_requested INTEGER NOT NULL,
    requested_by BLOB,
    created_at INTEGER NOT NULL,
    not_before INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX actions_queue ON actions (session, position) WHERE state IN ('queued', 'running', 'waiting');
CREATE INDEX actions_due ON actions (not_before) WHERE state = 'queued';

CREATE TABLE runs (
    id BLOB PRIMARY KEY NOT NULL,
    session BLOB NOT NULL REFERENCES sessions (id),
    action BLOB NOT NULL REFERENCES actions (id),
    step BLOB,
    state TEXT NOT NULL,
    version INTEGER,
    agent_session BLOB NOT NULL,
    base TEXT,
    commit_id TEXT,
    message TEXT,
    usage TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;

CREATE INDEX runs_session ON runs (session);

CREATE TABLE changes (
    id BLOB PRIMARY KEY NOT NULL,
    session BLOB NOT NULL REFERENCES sessions (id),
    key TEXT NOT NULL,
    position INTEGER NOT NULL,
    branch TEXT NOT NULL,
    base_branch TEXT NOT NULL,
    base TEXT NOT NULL,
    head TEXT NOT NULL,
    pushed TEXT,
    state TEXT NOT NULL,
    pull_request INTEGER,
    title TEXT NOT NULL,
    steps TEXT NOT NULL,
    version INTEGER NOT NULL,
    UNIQUE (session, key)
) STRICT;

CREATE TABLE requests (
    id BLOB PRIMARY KEY NOT NULL,
    session BLOB NOT NULL REFERENCES sessions (id),
    run BLOB REFERENCES runs (id),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    asked_at INTEGER NOT NULL
) STRICT;

CREATE INDEX requests_session ON requests (session);

CREATE TABLE sandboxes (
    id BLOB PRIMARY KEY NOT NULL,
    session BLOB NOT NULL REFERENCES sessions (id),
    host BLOB NOT NULL,
    state TEXT NOT NULL,
    base TEXT NOT NULL,
    provider TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    used_at INTEGER NOT NULL
) STRICT;

CREATE INDEX sandboxes_session ON sandboxes (session);
CREATE INDEX sandboxes_live ON sandboxes (created_at) WHERE state <> 'destroyed';

CREATE TABLE execs (
    id BLOB PRIMARY KEY NOT NULL,
    run BLOB NOT NULL REFERENCES runs (id),
    sandbox BLOB NOT NULL REFERENCES sandboxes (id),
    purpose TEXT NOT NULL,
    consumed INTEGER NOT NULL,
    ended TEXT,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX execs_run ON execs (run);

CREATE TABLE stdin_lines (
    exec BLOB NOT NULL REFERENCES execs (id),
    seq INTEGER NOT NULL,
    key TEXT NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (exec, seq)
) STRICT;

CREATE TABLE blobs (
    hash BLOB PRIMARY KEY NOT NULL,
    size INTEGER NOT NULL
) STRICT;

CREATE TABLE blob_chunks (
    hash BLOB NOT NULL REFERENCES blobs (hash),
    number INTEGER NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (hash, number)
) STRICT;

CREATE TABLE outputs (
    exec BLOB NOT NULL REFERENCES execs (id),
    from_offset INTEGER NOT NULL,
    to_offset INTEGER NOT NULL,
    blob BLOB NOT NULL REFERENCES blobs (hash),
    PRIMARY KEY (exec, from_offset)
) STRICT;

CREATE TABLE transcripts (
    agent_session BLOB PRIMARY KEY NOT NULL,
    blob BLOB NOT NULL REFERENCES blobs (hash)
) STRICT;

CREATE TABLE journal (
    session BLOB NOT NULL REFERENCES sessions (id),
    key TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (session, key)
) STRICT;

CREATE TABLE pull_requests (
    repository BLOB NOT NULL REFERENCES repositories (id),
    number INTEGER NOT NULL,
    key TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    base TEXT NOT NULL,
    head TEXT NOT NULL,
    draft INTEGER NOT NULL,
    labels TEXT NOT NULL,
    state TEXT NOT NULL,
    merge_commit TEXT,
    merged_head TEXT,
    author TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    threads INTEGER NOT NULL,
    PRIMARY KEY (repository, number),
    UNIQUE (repository, key)
) STRICT;

CREATE TABLE comments (
    id BLOB PRIMARY KEY NOT NULL,
    repository BLOB NOT NULL,
    number INTEGER NOT NULL,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    thread BLOB,
    created_at INTEGER NOT NULL,
    FOREIGN KEY (repository, number) REFERENCES pull_requests (repository, number)
) STRICT;

CREATE INDEX comments_pull_request ON comments (repository, number);

CREATE TABLE threads (
    id BLOB PRIMARY KEY NOT NULL,
    repository BLOB NOT NULL,
    number INTEGER NOT NULL,
    position INTEGER NOT NULL,
    path TEXT NOT NULL,
    line INTEGER NOT NULL,
    commit_id TEXT NOT NULL,
    resolved INTEGER NOT NULL,
    FOREIGN KEY (repository, number) REFERENCES pull_requests (repository, number)
) STRICT;

CREATE INDEX threads_pull_request ON threads (repository, number);

CREATE TABLE checks (
    repository BLOB NOT NULL REFERENCES repositories (id),
    commit_id TEXT NOT NULL,
    name TEXT NOT NULL,
    passed INTEGER NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (repository, commit_id, name)
) STRICT;
