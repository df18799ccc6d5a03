-- A text's embedding, when the setting embeddings.store asks for it: float32, little-endian, one after
-- the other (what sqlite-vec takes as it is). NULL in all other rows.
ALTER TABLE texts ADD COLUMN embedding BLOB;
