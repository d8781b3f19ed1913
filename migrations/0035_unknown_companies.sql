-- A company that is to be fetched only because it is not stored. Whatever stores it serves the fetch.
ALTER TABLE company_wants ADD COLUMN unknown boolean NOT NULL DEFAULT false;
