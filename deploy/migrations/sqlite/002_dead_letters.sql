-- Records that could not be stored, with the reason and the record as the client sent it (msgpack).
CREATE TABLE dead_letters (
    origin     TEXT NOT NULL,
    seq        INTEGER NOT NULL,
    record     INTEGER NOT NULL,
    kind       TEXT NOT NULL,
    id         TEXT,
    stage      TEXT NOT NULL,
    code       TEXT NOT NULL,
    message    TEXT NOT NULL,
    payload    BLOB NOT NULL,
    version    INTEGER NOT NULL,
    first_seen TEXT NOT NULL,
    last_seen  TEXT NOT NULL,
    PRIMARY KEY (origin, seq, record)
) STRICT;
