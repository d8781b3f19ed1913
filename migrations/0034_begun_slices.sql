-- How many slices of the stream have begun in a row while their workers died. A worker that dies before it took the
-- stream over did not die of the slice.
ALTER TABLE streams ADD COLUMN begun integer NOT NULL DEFAULT 0;
