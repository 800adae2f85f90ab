-- Migration 2: what archived records said of who is who, by tokens, so that an erasure still finds
-- every form of a person. A row goes with the value of its number.

-- name: links
CREATE TABLE links (
    pn TEXT NOT NULL,
    lid TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (pn, lid)
) STRICT, WITHOUT ROWID;

-- name: links_are_never_updated
CREATE TRIGGER links_are_never_updated BEFORE UPDATE ON links
BEGIN
    SELECT RAISE(ABORT, 'links are never updated: they are only added and erased');
END;
