-- Records that could not be stored, with the reason and the record as the client sent it (msgpack).
CREATE TABLE dead_letters (
    origin     uuid NOT NULL,
    seq        bigint NOT NULL,
    record     bigint NOT NULL,
    kind       text NOT NULL,
    id         text,
    stage      text NOT NULL,
    code       text NOT NULL,
    message    text NOT NULL,
    payload    bytea NOT NULL,
    version    bigint NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen  timestamptz NOT NULL,
    PRIMARY KEY (origin, seq, record)
);
