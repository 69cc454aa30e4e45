CREATE TABLE accounts (
    id UUID PRIMARY KEY NOT NULL,
    name TEXT NOT NULL UNIQUE,
    sessions BIGINT NOT NULL
);

CREATE TABLE users (
    id UUID PRIMARY KEY NOT NULL,
    account UUID NOT NULL REFERENCES accounts (id),
    name TEXT NOT NULL,
    email TEXT NOT NULL,
    role TEXT NOT NULL,
    UNIQUE (account, email)
);

CREATE TABLE repositories (
    id UUID PRIMARY KEY NOT NULL,
    account UUID NOT NULL REFERENCES accounts (id),
    name TEXT COLLATE "C" NOT NULL,
    forge TEXT NOT NULL,
    location TEXT NOT NULL,
    pull_requests BIGINT NOT NULL,
    UNIQUE (account, name)
);

CREATE TABLE sessions (
    id UUID PRIMARY KEY NOT NULL,
    number BIGINT NOT NULL,
    account UUID NOT NULL REFERENCES accounts (id),
    repository UUID NOT NULL REFERENCES repositories (id),
    requester UUID NOT NULL REFERENCES users (id),
    title TEXT NOT NULL,
    prompt TEXT NOT NULL,
    mode TEXT NOT NULL,
    pr_mode TEXT NOT NULL,
    draft BOOLEAN NOT NULL,
    labels TEXT NOT NULL,
    target_branch TEXT NOT NULL,
    base TEXT NOT NULL,
    budget TEXT NOT NULL,
    run_budget TEXT NOT NULL,
    agent_session UUID NOT NULL,
    version BIGINT NOT NULL,
    last_event BIGINT NOT NULL,
    usage TEXT NOT NULL,
    archived BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL,
    served BIGINT NOT NULL,
    UNIQUE (account, number)
);

CREATE INDEX sessions_served ON sessions (served);

CREATE TABLE leases (
    session UUID PRIMARY KEY NOT NULL REFERENCES sessions (id),
    account UUID NOT NULL REFERENCES accounts (id),
    owner UUID,
    epoch BIGINT NOT NULL,
    beat BIGINT NOT NULL
);

CREATE INDEX leases_held ON leases (account) WHERE owner IS NOT NULL;

CREATE TABLE events (
    session UUID NOT NULL REFERENCES sessions (id),
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    payload TEXT NOT NULL,
    PRIMARY KEY (session, number)
);

CREATE TABLE runbooks (
    session UUID NOT NULL REFERENCES sessions (id),
    version BIGINT NOT NULL,
    body TEXT NOT NULL,
    steps TEXT NOT NULL,
    author UUID,
    restores BIGINT,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (session, version)
);

CREATE TABLE steps (
    id UUID PRIMARY KEY NOT NULL,
    session UUID NOT NULL REFERENCES sessions (id),
    state TEXT NOT NULL,
    agent_session UUID NOT NULL,
    usage TEXT NOT NULL
);

CREATE INDEX steps_session ON steps (session);

CREATE TABLE actions (
    id UUID PRIMARY KEY NOT NULL,
    session UUID NOT NULL REFERENCES sessions (id),
    position BIGINT NOT NULL,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    handed_back BIGINT NOT NULL,
    stop_requested BOOLEAN NOT NULL,
    requested_by UUID,
    created_at BIGINT NOT NULL,
    not_before BIGINT NOT NULL
);

CREATE UNIQUE INDEX actions_queue ON actions (session, position) WHERE state IN ('queued', 'running', 'waiting');
CREATE INDEX actions_due ON actions (not_before) WHERE state = 'queued';

CREATE TABLE runs (
    id UUID PRIMARY KEY NOT NULL,
    session UUID NOT NULL REFERENCES sessions (id),
    action UUID NOT NULL REFERENCES actions (id),
    step UUID,
    state TEXT NOT NULL,
    version BIGINT,
    agent_session UUID NOT NULL,
    base TEXT,
    commit_id TEXT,
    message TEXT,
    usage TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT
);

CREATE INDEX runs_session ON runs (session);

CREATE TABLE changes (
    id UUID PRIMARY KEY NOT NULL,
    session UUID NOT NULL REFERENCES sessions (id),
    key TEXT NOT NULL,
    position BIGINT NOT NULL,
    branch TEXT NOT NULL,
    base_branch TEXT NOT NULL,
    base TEXT NOT NULL,
    head TEXT NOT NULL,
    pushed TEXT,
    state TEXT NOT NULL,
    pull_request BIGINT,
    title TEXT NOT NULL,
    steps TEXT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (session, key)
);

CREATE TABLE requests (
    id UUID PRIMARY KEY NOT NULL,
    session UUID NOT NULL REFERENCES sessions (id),
    run UUID REFERENCES runs (id),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    asked_at BIGINT NOT NULL
);

CREATE INDEX requests_session ON requests (session);

CREATE TABLE sandboxes (
    id UUID PRIMARY KEY NOT NULL,
    session UUID NOT NULL REFERENCES sessions (id),
    host UUID NOT NULL,
    state TEXT NOT NULL,
    base TEXT NOT NULL,
    provider TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    used_at BIGINT NOT NULL
);

CREATE INDEX sandboxes_session ON sandboxes (session);
CREATE INDEX sandboxes_live ON sandboxes (created_at) WHERE state <> 'destroyed';

CREATE TABLE execs (
    id UUID PRIMARY KEY NOT NULL,
    run UUID NOT NULL REFERENCES runs (id),
    sandbox UUID NOT NULL REFERENCES sandboxes (id),
    purpose TEXT NOT NULL,
    consumed BIGINT NOT NULL,
    ended TEXT,
    created_at BIGINT NOT NULL
);

CREATE INDEX execs_run ON execs (run);

CREATE TABLE stdin_lines (
    exec UUID NOT NULL REFERENCES execs (id),
    seq BIGINT NOT NULL,
    key TEXT NOT NULL,
    line TEXT NOT NULL,
    PRIMARY KEY (exec, seq)
);

CREATE TABLE blobs (
    hash BYTEA PRIMARY KEY NOT NULL,
    size BIGINT NOT NULL
);

CREATE TABLE blob_chunks (
    hash BYTEA NOT NULL REFERENCES blobs (hash),
    number BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (hash, number)
);

CREATE TABLE outputs (
    exec UUID NOT NULL REFERENCES execs (id),
    from_offset BIGINT NOT NULL,
    to_offset BIGINT NOT NULL,
    blob BYTEA NOT NULL REFERENCES blobs (hash),
    PRIMARY KEY (exec, from_offset)
);

CREATE TABLE transcripts (
    agent_session UUID PRIMARY KEY NOT NULL,
    blob BYTEA NOT NULL REFERENCES blobs (hash)
);

CREATE TABLE journal (
    session UUID NOT NULL REFERENCES sessions (id),
    key TEXT NOT NULL,
    note TEXT NOT NULL,
    PRIMARY KEY (session, key)
);

CREATE TABLE pull_requests (
    repository UUID NOT NULL REFERENCES repositories (id),
    number BIGINT NOT NULL,
    key TEXT NOT NULL,
    title TEXT NOT NULL,
    body TEXT NOT NULL,
    base TEXT NOT NULL,
    head TEXT NOT NULL,
    draft BOOLEAN NOT NULL,
    labels TEXT NOT NULL,
    state TEXT NOT NULL,
    merge_commit TEXT,
    merged_head TEXT,
    author TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    threads BIGINT NOT NULL,
    PRIMARY KEY (repository, number),
    UNIQUE (repository, key)
);

CREATE TABLE comments (
    id UUID PRIMARY KEY NOT NULL,
    repository UUID NOT NULL,
    number BIGINT NOT NULL,
    author TEXT NOT NULL,
    body TEXT NOT NULL,
    thread UUID,
    created_at BIGINT NOT NULL,
    FOREIGN KEY (repository, number) REFERENCES pull_requests (repository, number)
);

CREATE INDEX comments_pull_request ON comments (repository, number);

CREATE TABLE threads (
    id UUID PRIMARY KEY NOT NULL,
    repository UUID NOT NULL,
    number BIGINT NOT NULL,
    position BIGINT NOT NULL,
    path TEXT NOT NULL,
    line BIGINT NOT NULL,
    commit_id TEXT NOT NULL,
    resolved BOOLEAN NOT NULL,
    FOREIGN KEY (repository, number) REFERENCES pull_requests (repository, number)
);

CREATE INDEX threads_pull_request ON threads (repository, number);

CREATE TABLE checks (
    repository UUID NOT NULL REFERENCES repositories (id),
    commit_id TEXT NOT NULL,
    name TEXT COLLATE "C" NOT NULL,
    passed BOOLEAN NOT NULL,
    summary TEXT NOT NULL,
    PRIMARY KEY (repository, commit_id, name)
);
