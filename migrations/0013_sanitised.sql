-- Whether a reference item's text had to be repaired before it could be stored, as every other object says of itself.

ALTER TABLE reference_items ADD COLUMN sanitised boolean NOT NULL DEFAULT false;
