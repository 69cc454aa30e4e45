-- One row: which life of which record this is.
CREATE TABLE generation (
    place BIGINT PRIMARY KEY NOT NULL CHECK (place = 1),
    record UUID NOT NULL,
    number BIGINT NOT NULL,
    instance UUID NOT NULL,
    since BIGINT NOT NULL,
    backed_up_at BIGINT,
    unsettled BOOLEAN NOT NULL
);
