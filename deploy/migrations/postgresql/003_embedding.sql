-- A text's embedding, when the setting embeddings.store asks for it. NULL in all other rows, so this
-- takes a moment however many rows there are, and a persist of before may go on beside a new one.
ALTER TABLE texts ADD COLUMN embedding real[];

-- Random bits do not get smaller: no time is spent on trying.
ALTER TABLE texts ALTER COLUMN embedding SET STORAGE EXTERNAL;
