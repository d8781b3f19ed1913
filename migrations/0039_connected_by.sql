-- Who connected a workspace, so that its page can say whose access the copy hangs on. An older build writes no name.
ALTER TABLE connections ADD COLUMN connected_by text;
