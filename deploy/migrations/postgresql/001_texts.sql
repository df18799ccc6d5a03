-- One text is one row: what was found in it is inside the row, so no reader can see parts of two
-- versions. Keys compare as bytes (COLLATE "C"): faster, and the same in every database.
CREATE TABLE texts (
    id                   text COLLATE "C" PRIMARY KEY,
    version              bigint NOT NULL,
    origin               uuid NOT NULL,
    seq                  bigint NOT NULL,
    text                 text NOT NULL,
    source_type          text,
    platform             text,
    author               text,
    url                  text,
    lang                 text,
    verified             boolean NOT NULL,
    reach                bigint NOT NULL,
    published_at         timestamptz,
    ingested_at          timestamptz NOT NULL,
    model                text NOT NULL,
    sentiment_label      text NOT NULL,
    sentiment_score      double precision NOT NULL,
    emotion_label        text NOT NULL,
    emotion_score        double precision NOT NULL,
    emotion_distribution jsonb NOT NULL,
    emotions             jsonb NOT NULL,
    influence_weight     double precision NOT NULL,
    confidence_weight    double precision NOT NULL,
    primary_topic        text COLLATE "C",
    topics               jsonb NOT NULL,
    truncated            boolean NOT NULL
);

CREATE INDEX texts_ingested_at ON texts (ingested_at);
CREATE INDEX texts_primary_topic_ingested_at ON texts (primary_topic, ingested_at);

CREATE VIEW text_topics AS
SELECT t.id AS text_id,
       item ->> 'topic' AS topic,
       rank,
       (item ->> 'confidence')::double precision AS confidence,
       (item ->> 'keyword_score')::double precision AS keyword_score,
       (item ->> 'embedding_score')::double precision AS embedding_score,
       t.sentiment_label,
       t.sentiment_score,
       t.emotion_label,
       t.influence_weight,
       t.confidence_weight,
       t.published_at,
       t.ingested_at
FROM texts t
CROSS JOIN LATERAL jsonb_array_elements(t.topics) WITH ORDINALITY AS unfolded (item, rank);

CREATE VIEW text_emotions AS
SELECT t.id AS text_id,
       item ->> 'label' AS emotion,
       rank,
       (item ->> 'probability')::double precision AS probability,
       t.published_at,
       t.ingested_at
FROM texts t
CROSS JOIN LATERAL jsonb_array_elements(t.emotions) WITH ORDINALITY AS unfolded (item, rank);
