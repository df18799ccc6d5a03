-- One text is one row: what was found in it is inside the row, so no reader can see parts of two
-- versions. JSON is text, times are ISO 8601 text in UTC with microseconds (they sort as text).
CREATE TABLE texts (
    id                   TEXT NOT NULL PRIMARY KEY,
    version              INTEGER NOT NULL,
    origin               TEXT NOT NULL,
    seq                  INTEGER NOT NULL,
    text                 TEXT NOT NULL,
    source_type          TEXT,
    platform             TEXT,
    author               TEXT,
    url                  TEXT,
    lang                 TEXT,
    verified             INTEGER NOT NULL,
    reach                INTEGER NOT NULL,
    published_at         TEXT,
    ingested_at          TEXT NOT NULL,
    model                TEXT NOT NULL,
    sentiment_label      TEXT NOT NULL,
    sentiment_score      REAL NOT NULL,
    emotion_label        TEXT NOT NULL,
    emotion_score        REAL NOT NULL,
    emotion_distribution TEXT NOT NULL,
    emotions             TEXT NOT NULL,
    influence_weight     REAL NOT NULL,
    confidence_weight    REAL NOT NULL,
    primary_topic        TEXT,
    topics               TEXT NOT NULL,
    truncated            INTEGER NOT NULL
) STRICT;

CREATE INDEX texts_ingested_at ON texts (ingested_at);
CREATE INDEX texts_primary_topic_ingested_at ON texts (primary_topic, ingested_at);

CREATE VIEW text_topics AS
SELECT t.id AS text_id,
       unfolded.value ->> '$.topic' AS topic,
       unfolded.key + 1 AS rank,
       unfolded.value ->> '$.confidence' AS confidence,
       unfolded.value ->> '$.keyword_score' AS keyword_score,
       unfolded.value ->> '$.embedding_score' AS embedding_score,
       t.sentiment_label,
       t.sentiment_score,
       t.emotion_label,
       t.influence_weight,
       t.confidence_weight,
       t.published_at,
       t.ingested_at
FROM texts t, json_each(t.topics) AS unfolded;

CREATE VIEW text_emotions AS
SELECT t.id AS text_id,
       unfolded.value ->> '$.label' AS emotion,
       unfolded.key + 1 AS rank,
       unfolded.value ->> '$.probability' AS probability,
       t.published_at,
       t.ingested_at
FROM texts t, json_each(t.emotions) AS unfolded;
