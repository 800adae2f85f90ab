-- Every statement that runs more than once, each with its name.

-- name: insert_record
INSERT INTO records (position, stream, version, id, at, type, state, reply, record, leaf, chain)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: drop_guard
DROP TRIGGER records_are_never_deleted;

-- name: delete_archived
DELETE FROM records
WHERE stream = (SELECT number FROM streams WHERE name = ?) AND version <= ?;

-- name: insert_link
INSERT OR REPLACE INTO links (pn, lid, position)
SELECT token, :lid, max(:position, coalesce(
    (SELECT position FROM links WHERE pn = :pn AND lid = :lid), 0
))
FROM vault WHERE token = :pn;

-- name: erase_links
DELETE FROM links WHERE pn = ?;

-- name: select_archived_links
SELECT pn, lid, position FROM links;

-- name: select_first_version
SELECT version FROM records
WHERE stream = (SELECT number FROM streams WHERE name = ?) ORDER BY version LIMIT 1;

-- name: insert_stream
INSERT INTO streams (number, name) VALUES (?, ?);

-- name: insert_type
INSERT INTO types (number, name) VALUES (?, ?);

-- name: insert_state
INSERT INTO states (number, name) VALUES (?, ?);

-- name: insert_vault
INSERT OR IGNORE INTO vault (token, kind, value, salt) VALUES (?, ?, ?, ?);

-- name: erase_vault
DELETE FROM vault WHERE token = ?;

-- name: keep_vault
CREATE TEMP TABLE kept AS SELECT rowid AS number, token, kind, value, salt FROM vault;

-- name: clear_vault
DELETE FROM vault;

-- name: refill_vault
INSERT INTO vault (rowid, token, kind, value, salt)
SELECT number, token, kind, value, salt FROM kept ORDER BY number;

-- name: drop_kept
DROP TABLE kept;

-- name: upsert_checkpoint
INSERT INTO checkpoints (projection, stream, version, body) VALUES (?, ?, ?, ?)
ON CONFLICT (projection, stream) DO UPDATE SET version = excluded.version, body = excluded.body;

-- name: drop_checkpoints
DELETE FROM checkpoints WHERE projection = ?;

-- name: schema
PRAGMA user_version;

-- name: last_position
SELECT coalesce(max(position), 0) FROM records;

-- name: last_stream_number
SELECT coalesce(max(number), 0) FROM streams;

-- name: insert_log_id
INSERT OR IGNORE INTO meta (key, value) VALUES ('log_id', coalesce(?, randomblob(16)));

-- name: log_id
SELECT value FROM meta WHERE key = 'log_id';

-- name: select_streams
SELECT number, name FROM streams WHERE number > ? ORDER BY number;

-- name: select_types
SELECT number, name FROM types;

-- name: select_states
SELECT number, name FROM states;

-- name: select_head
SELECT streams.number, records.version, records.chain
FROM streams LEFT JOIN records ON records.stream = streams.number
WHERE streams.name = ? ORDER BY records.version DESC LIMIT 1;

-- name: select_heads
SELECT streams.name, records.version, records.chain
FROM streams CROSS JOIN records ON records.stream = streams.number AND records.version = (
    SELECT last.version FROM records AS last
    WHERE last.stream = streams.number ORDER BY last.version DESC LIMIT 1
)
ORDER BY streams.number;

-- name: select_page
SELECT position, stream, version, id, at, type, state, reply, CAST(record AS BLOB), leaf, chain
FROM records WHERE position > ? AND position <= ? ORDER BY position LIMIT ?;

-- name: select_links
SELECT position, stream, version, CAST(record AS BLOB), leaf, chain
FROM records WHERE position > ? AND position <= ? ORDER BY position LIMIT ?;

-- name: select_stream_page
SELECT position, stream, version, id, at, type, state, reply, CAST(record AS BLOB), leaf, chain
FROM records
WHERE stream = (SELECT number FROM streams WHERE name = ?) AND version > ? AND version <= ?
ORDER BY version LIMIT ?;

-- name: select_by_id
SELECT position, stream, version, id, at, type, state, reply, CAST(record AS BLOB), leaf, chain
FROM records WHERE id = ?;

-- name: select_of_reply
SELECT position, stream, version, id, at, type, state, reply, CAST(record AS BLOB), leaf, chain
FROM records WHERE stream = (SELECT number FROM streams WHERE name = ?) AND reply = ?
ORDER BY position;

-- name: select_tail
SELECT records.position, streams.name, records.version, CAST(records.record AS BLOB),
    records.leaf, records.chain, previous.chain
FROM records
LEFT JOIN streams ON streams.number = records.stream
LEFT JOIN records AS previous
    ON previous.stream = records.stream AND previous.version = records.version - 1
ORDER BY records.position DESC LIMIT ?;

-- name: select_token
SELECT token FROM vault WHERE value = ? AND kind = ? ORDER BY rowid LIMIT 1;

-- name: select_vault
SELECT token, kind, value, salt FROM vault WHERE token = ?;

-- name: select_vault_page
SELECT token, kind, value, salt FROM vault WHERE token > ? ORDER BY token LIMIT ?;

-- name: select_checkpoint
SELECT version, body FROM checkpoints WHERE projection = ? AND stream = ?;

-- name: select_checkpoints
SELECT stream, version, body FROM checkpoints WHERE projection = ?;

-- name: select_named_by_id
SELECT records.position, streams.name, records.version, records.id, records.at, types.name,
    states.name, records.reply, CAST(records.record AS BLOB), records.leaf, records.chain
FROM records
JOIN streams ON streams.number = records.stream
JOIN types ON types.number = records.type
LEFT JOIN states ON states.number = records.state
WHERE records.id = ?;
