-- What found.tsv holds, from the store of `leat run`.
SELECT id, sentiment_label AS sentiment, printf('%.4f', sentiment_score) AS score, emotion_label AS emotion,
    coalesce((SELECT group_concat(value ->> 'topic', ' ') FROM json_each(topics)), '-') AS topics
FROM texts ORDER BY id
