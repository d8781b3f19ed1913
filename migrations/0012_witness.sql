-- A search by seconds begins just before a contact that changed before the watermark and is held: shown again, it is the
-- witness that the answer has everything that changed since.

-- When that contact changed; NULL where the last walk showed none.
ALTER TABLE streams ADD COLUMN witness timestamptz;
