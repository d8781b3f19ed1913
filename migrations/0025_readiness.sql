-- Every process reads which migrations are applied, because it must not work on a schema that is older than its build.

GRANT SELECT (version, success) ON _sqlx_migrations
    TO pathbound_api, pathbound_oauth, pathbound_worker, pathbound_scheduler, pathbound_operator;
