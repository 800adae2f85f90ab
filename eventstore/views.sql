-- Views for people: words for numbers, and times that can be read. No program of ours reads them.
-- Our own connections can't: with trusted_schema off, SQLite 3.40 calls every JSON function in a
-- view unsafe. Datasette, sqlite-utils and the sqlite3 shell leave it on.

-- name: log
SELECT
    records.position,
    strftime('%Y-%m-%dT%H:%M:%S', records.at / 1000000000, 'unixepoch')
        || printf('.%03dZ', records.at / 1000000 % 1000) AS time,
    streams.name AS account,
    records.version,
    types.name AS type,
    states.name AS state,
    records.record ->> '$.outcome.rule' AS rule,
    records.record ->> '$.stimulus.controller' AS controller,
    records.reply,
    records.record
FROM records
JOIN streams ON streams.number = records.stream
JOIN types ON types.number = records.type
LEFT JOIN states ON states.number = records.state;

-- name: accounts
SELECT
    streams.name AS account,
    states.name AS state,
    (
        SELECT strftime('%Y-%m-%dT%H:%M:%S', first.at / 1000000000, 'unixepoch')
            || printf('.%03dZ', first.at / 1000000 % 1000)
        FROM records AS first
        WHERE first.stream = streams.number AND first.version > coalesce(
            (
                SELECT other.version FROM records AS other
                WHERE other.stream = streams.number AND other.state IS NOT newest.state
                ORDER BY other.version DESC LIMIT 1
            ), 0
        )
        ORDER BY first.version LIMIT 1
    ) AS since,
    newest.version AS records,
    newest.record ->> '$.epoch' AS epoch,
    lower(hex(newest.chain)) AS head
FROM streams
CROSS JOIN records AS newest ON newest.stream = streams.number AND newest.version = (
    SELECT last.version FROM records AS last
    WHERE last.stream = streams.number ORDER BY last.version DESC LIMIT 1
)
LEFT JOIN states ON states.number = newest.state;

-- name: replies
SELECT
    streams.name AS account,
    of_reply.reply,
    first.record ->> '$.stimulus.chat' AS chat,
    first.record ->> '$.stimulus.captured_on' AS captured_on,
    strftime('%Y-%m-%dT%H:%M:%S', first.at / 1000000000, 'unixepoch')
        || printf('.%03dZ', first.at / 1000000 % 1000) AS first_time,
    first.record ->> '$.outcome.rule' AS first_rule,
    strftime('%Y-%m-%dT%H:%M:%S', last.at / 1000000000, 'unixepoch')
        || printf('.%03dZ', last.at / 1000000 % 1000) AS last_time,
    last.record ->> '$.outcome.rule' AS last_rule,
    of_reply.records
FROM (
    SELECT
        stream, reply, min(position) AS first, max(position) AS last, count(*) AS records
    FROM records WHERE reply IS NOT NULL GROUP BY stream, reply
) AS of_reply
JOIN streams ON streams.number = of_reply.stream
JOIN records AS first ON first.position = of_reply.first
JOIN records AS last ON last.position = of_reply.last;

-- name: effects
SELECT
    records.position,
    strftime('%Y-%m-%dT%H:%M:%S', records.at / 1000000000, 'unixepoch')
        || printf('.%03dZ', records.at / 1000000 % 1000) AS time,
    streams.name AS account,
    asked.value ->> '$.effect' AS effect,
    asked.value ->> '$.controller' AS controller,
    records.record ->> '$.outcome.rule' AS rule
FROM records
JOIN streams ON streams.number = records.stream
JOIN json_each(records.record, '$.outcome.effects') AS asked;
