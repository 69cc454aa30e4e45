-- One row: which life of which record this is.
CREATE TABLE generation (
    place INTEGER PRIMARY KEY NOT NULL CHECK (place = 1),
    record BLOB NOT NULL,
    number INTEGER NOT NULL,
    instance BLOB NOT NULL,
    since INTEGER NOT NULL,
    backed_up_at INTEGER,
    unsettled INTEGER NOT NULL
) STRICT;
