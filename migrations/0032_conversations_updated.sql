-- When a conversation last changed here: its own fields, its participants, its thread. `source_updated_at` is
-- Intercom's time, which a deletion or a fetched thread does not move, so a reader cannot follow it.
ALTER TABLE conversations ADD COLUMN updated_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX conversations_changed ON conversations (tenant_id, updated_at DESC, id DESC);
