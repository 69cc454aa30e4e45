-- What only one piece of knowledge of an account may have: a hash of what a learning says.
ALTER TABLE knowledge ADD COLUMN likeness TEXT;

CREATE UNIQUE INDEX knowledge_likeness ON knowledge (account, likeness);

-- Which runs taught a learning. One that a person removes at the same moment leaves a row that nobody reads, instead of
-- a reference that makes the end of a run fail.
CREATE TABLE lessons (
    learning BLOB NOT NULL,
    run BLOB NOT NULL REFERENCES runs (id),
    session BLOB NOT NULL REFERENCES sessions (id),
    moment TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (learning, run)
) STRICT;
