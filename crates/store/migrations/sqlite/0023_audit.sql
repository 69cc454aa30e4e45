-- Who did what to what. Each hash is over the entry and the hash before it; nothing is changed or removed.
-- The columns before the deed say what it says, in lower case, so that it is found.
CREATE TABLE audit (
    account BLOB NOT NULL REFERENCES accounts (id),
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    words TEXT NOT NULL,
    deed TEXT NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (account, number)
) STRICT;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;

CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;

-- `INSERT OR REPLACE` would take a row away without asking the trigger for that.
CREATE TRIGGER audit_is_not_replaced BEFORE INSERT ON audit
WHEN EXISTS (SELECT 1 FROM audit WHERE account = NEW.account AND number = NEW.number)
BEGIN
    SELECT RAISE(ABORT, 'the audit log is only ever added to');
END;
