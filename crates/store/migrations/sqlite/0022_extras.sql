-- What came with a request beside its words, as JSON.
ALTER TABLE sessions ADD COLUMN extras TEXT NOT NULL DEFAULT '{}';
