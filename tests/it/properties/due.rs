//! What is due, and time that passes instead of being waited for.

use std::time::Duration;

use shared::domain::Stream;

use super::machine::Machine;

impl Machine {
    /// So much time passes for Intercom and for us.
    pub(super) async fn pass(&mut self, seconds: f64) {
        self.world
            .simulator
            .clock()
            .advance(Duration::from_secs_f64(seconds));
        for query in [
            "UPDATE streams SET due_at = due_at - make_interval(secs => $2), walked_at = walked_at - make_interval(secs => $2),
                    blocked_until = blocked_until - make_interval(secs => $2) WHERE connection_id = $1",
            "UPDATE threads SET due_at = due_at - make_interval(secs => $2) WHERE connection_id = $1 AND status = 'pending'",
        ] {
            sqlx::query(query)
                .bind(self.connected.connection.0)
                .bind(seconds)
                .execute(&mut self.admin)
                .await
                .expect("postgres answers");
        }
    }

    pub(super) async fn due(&mut self) -> Vec<Stream> {
        let due: Vec<String> = sqlx::query_scalar(
            "SELECT stream FROM streams WHERE connection_id = $1 AND due_at <= now()
             ORDER BY array_position(ARRAY['reference', 'contacts', 'companies', 'conversations', 'threads'], stream)",
        )
        .bind(self.connected.connection.0)
        .fetch_all(&mut self.admin)
        .await
        .expect("postgres answers");
        due.iter()
            .map(|stream| stream.parse().expect("a stream"))
            .collect()
    }

    /// Seconds until the next stream is due.
    pub(super) async fn next_due(&mut self) -> Option<f64> {
        sqlx::query_scalar(
            "SELECT extract(epoch FROM min(due_at) - now())::float8 FROM streams WHERE connection_id = $1",
        )
        .bind(self.connected.connection.0)
        .fetch_one(&mut self.admin)
        .await
        .expect("postgres answers")
    }

    pub(super) async fn admin(&mut self, query: &'static str) {
        sqlx::query(query)
            .bind(self.connected.connection.0)
            .execute(&mut self.admin)
            .await
            .expect("postgres answers");
    }
}
