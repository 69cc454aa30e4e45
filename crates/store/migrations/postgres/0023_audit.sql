-- Who did what to what. Each hash is over the entry and the hash before it; nothing is changed or removed.
-- The columns before the deed say what it says, in lower case, so that it is found.
CREATE TABLE audit (
    account UUID NOT NULL REFERENCES accounts (id),
    number BIGINT NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    words TEXT NOT NULL,
    deed TEXT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (account, number)
);

CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to';
END
$$;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE ON audit
    FOR EACH ROW EXECUTE FUNCTION audit_is_kept();

CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit
    FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept();
