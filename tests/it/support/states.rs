//! What a tenant stands still for, as something else has written it.

use shared::domain::Stream;

use super::{Case, World};

impl Case {
    /// A stream was last read to its end so many seconds ago.
    pub(crate) async fn read_last(&self, stream: Stream, seconds_ago: f64) {
        let statement = "UPDATE streams SET last_ok_at = now() - make_interval(secs => $3)
             WHERE connection_id = $1 AND stream = $2";
        let updated = sqlx::query(statement)
            .bind(self.connection().0)
            .bind(stream.as_str())
            .bind(seconds_ago)
            .execute(&self.world.admin);
        updated.await.expect("postgres answers");
    }

    /// The connection is in another state, such as `reauth_required`.
    pub(crate) async fn put_in_state(&self, state: &str) {
        let statement = "UPDATE connections SET state = $2, disconnected_at = CASE WHEN $2 = 'disconnected' THEN now() END
             WHERE id = $1";
        let updated = sqlx::query(statement)
            .bind(self.connection().0)
            .bind(state)
            .execute(&self.world.admin);
        updated.await.expect("postgres answers");
    }
}

impl World {
    /// Pauses what this scope names, in Postgres.
    pub(crate) async fn pause_in_postgres(&self, scope: &str) {
        let paused = sqlx::query("INSERT INTO pauses (scope) VALUES ($1)").bind(scope);
        paused.execute(&self.admin).await.expect("it is paused");
    }
}
