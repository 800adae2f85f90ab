-- The schema, one named statement each; sqlite_schema.py runs them in this order as migration 1.
-- A change to a published schema is a new file and a new migration, never an edit here.

-- name: meta
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- name: streams
CREATE TABLE streams (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- name: types
CREATE TABLE types (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- name: states
CREATE TABLE states (
    number INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- name: records
CREATE TABLE records (
    position INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL REFERENCES streams (number),
    version INTEGER NOT NULL,
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    type INTEGER NOT NULL REFERENCES types (number),
    state INTEGER REFERENCES states (number),
    reply TEXT,
    record TEXT NOT NULL,
    leaf BLOB NOT NULL,
    chain BLOB NOT NULL
) STRICT;

-- name: records_by_version
CREATE UNIQUE INDEX records_by_version ON records (stream, version);

-- name: records_by_id
CREATE UNIQUE INDEX records_by_id ON records (id);

-- name: records_by_reply
CREATE INDEX records_by_reply ON records (stream, reply) WHERE reply IS NOT NULL;

-- name: vault
CREATE TABLE vault (
    token TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    value TEXT NOT NULL,
    salt BLOB NOT NULL
) STRICT;

-- name: vault_by_value
CREATE INDEX vault_by_value ON vault (value, kind);

-- name: checkpoints
CREATE TABLE checkpoints (
    projection TEXT NOT NULL,
    stream TEXT NOT NULL,
    version INTEGER NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (projection, stream)
) STRICT;

-- name: records_are_never_updated
CREATE TRIGGER records_are_never_updated BEFORE UPDATE ON records
BEGIN
    SELECT RAISE(ABORT, 'records are append-only: no update');
END;

-- name: records_are_never_deleted
CREATE TRIGGER records_are_never_deleted BEFORE DELETE ON records
BEGIN
    SELECT RAISE(ABORT, 'records are append-only: no delete');
END;

-- name: streams_are_never_updated
CREATE TRIGGER streams_are_never_updated BEFORE UPDATE ON streams
BEGIN
    SELECT RAISE(ABORT, 'streams are append-only: no update');
END;

-- name: streams_are_never_deleted
CREATE TRIGGER streams_are_never_deleted BEFORE DELETE ON streams
BEGIN
    SELECT RAISE(ABORT, 'streams are append-only: no delete');
END;

-- name: types_are_never_updated
CREATE TRIGGER types_are_never_updated BEFORE UPDATE ON types
BEGIN
    SELECT RAISE(ABORT, 'types are append-only: no update');
END;

-- name: types_are_never_deleted
CREATE TRIGGER types_are_never_deleted BEFORE DELETE ON types
BEGIN
    SELECT RAISE(ABORT, 'types are append-only: no delete');
END;

-- name: states_are_never_updated
CREATE TRIGGER states_are_never_updated BEFORE UPDATE ON states
BEGIN
    SELECT RAISE(ABORT, 'states are append-only: no update');
END;

-- name: states_are_never_deleted
CREATE TRIGGER states_are_never_deleted BEFORE DELETE ON states
BEGIN
    SELECT RAISE(ABORT, 'states are append-only: no delete');
END;

-- name: meta_is_never_updated
CREATE TRIGGER meta_is_never_updated BEFORE UPDATE ON meta
BEGIN
    SELECT RAISE(ABORT, 'meta is append-only: no update');
END;

-- name: meta_is_never_deleted
CREATE TRIGGER meta_is_never_deleted BEFORE DELETE ON meta
BEGIN
    SELECT RAISE(ABORT, 'meta is append-only: no delete');
END;

-- name: vault_is_never_updated
CREATE TRIGGER vault_is_never_updated BEFORE UPDATE ON vault
BEGIN
    SELECT RAISE(ABORT, 'the vault is never updated: values are only added and erased');
END;
