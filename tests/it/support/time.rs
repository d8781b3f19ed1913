//! What is due, and time that passes instead of being waited for.

use std::time::Duration;

use shared::domain::Stream;

use super::Case;

/// Streams whose walks have slow timers.
const WALKED: &[Stream] = &[Stream::Contacts, Stream::Companies, Stream::Conversations];
const HOURS_OF_A_WEEK: f64 = 8.0 * 24.0;

impl Case {
    /// Makes streams due now. The scheduler has not pushed a ticket of them yet.
    pub(crate) async fn make_due(&self, streams: &[Stream]) {
        self.of_streams(
            "UPDATE streams SET due_at = now(), ticketed_at = NULL
             WHERE connection_id = $1 AND stream = ANY($2)",
            streams,
            0.0,
        )
        .await;
    }

    /// Makes every stream due at the beginning of 2099.
    pub(crate) async fn make_due_in_2099(&self) {
        self.of_streams(
            "UPDATE streams SET due_at = '2099-01-01T00:00:00Z', ticketed_at = NULL
             WHERE connection_id = $1 AND stream = ANY($2)",
            Stream::ALL,
            0.0,
        )
        .await;
    }

    /// Makes a stream due now, while the scheduler believes that it has just pushed its ticket. So no worker takes it.
    pub(crate) async fn make_due_without_a_ticket(&self, stream: Stream) {
        self.of_streams(
            "UPDATE streams SET due_at = now(), ticketed_at = now()
             WHERE connection_id = $1 AND stream = ANY($2)",
            &[stream],
            0.0,
        )
        .await;
    }

    /// The stream has failed nine times in a row, and is due again.
    pub(crate) async fn fail_nine_times(&self, stream: Stream) {
        self.of_streams(
            "UPDATE streams SET attempts = 9, due_at = now(), ticketed_at = NULL
             WHERE connection_id = $1 AND stream = ANY($2)",
            &[stream],
            0.0,
        )
        .await;
    }

    /// What waits for its next attempt or poll is due now, until the copy is complete. It costs at most
    /// [`Case::retry_floor`] calls beside those of what failed, because what waits for a poll polls.
    pub(crate) async fn retry_now(&self) {
        self.of_streams(
            "UPDATE streams SET due_at = now(), ticketed_at = NULL
             WHERE connection_id = $1 AND stream = ANY($2) AND due_at IS NOT NULL",
            Stream::ALL,
            0.0,
        )
        .await;
        self.until_complete().await;
    }

    /// The reference data, and a search of contacts and one of conversations.
    pub(crate) fn retry_floor(&self) -> u64 {
        self.reference_floor() + 2
    }

    /// The day passes that a blocked stream waits for. Reference data is due as well.
    pub(crate) async fn end_blocks(&self) {
        self.of_streams(
            "UPDATE streams SET due_at = now(), ticketed_at = NULL
             WHERE connection_id = $1 AND stream = ANY($2) AND (blocked_code IS NOT NULL OR stream = 'reference')",
            Stream::ALL,
            0.0,
        )
        .await;
    }

    /// The last full walks were this many hours earlier, and the streams are due now.
    pub(crate) async fn age_walks(&self, streams: &[Stream], hours: f64) {
        self.of_streams(
            "UPDATE streams SET walked_at = walked_at - make_interval(secs => $3 * 3600),
                    due_at = now(), ticketed_at = NULL
             WHERE connection_id = $1 AND stream = ANY($2)",
            streams,
            hours,
        )
        .await;
    }

    /// The slow timers are due, and no run was asked for.
    pub(crate) async fn pass_week(&self) {
        self.age_walks(WALKED, HOURS_OF_A_WEEK).await;
    }

    /// A week passes for a connection that has ended, so nothing becomes due.
    pub(crate) async fn pass_week_disconnected(&self) {
        self.of_streams(
            "UPDATE streams SET walked_at = walked_at - make_interval(secs => $3 * 3600)
             WHERE connection_id = $1 AND stream = ANY($2)",
            Stream::ALL,
            HOURS_OF_A_WEEK,
        )
        .await;
    }

    /// Two days pass in which the connection was not audited. Then its reference data is due, and the audit with it.
    pub(crate) async fn make_audit_due(&self) {
        self.until_run_ends().await;
        self.of_streams(
            "WITH older AS (
                UPDATE connections SET connected_at = connected_at - make_interval(secs => $3 * 3600)
                WHERE id = $1 RETURNING id
             ), again AS (
                UPDATE audits SET audited_at = audited_at - make_interval(secs => $3 * 3600) WHERE connection_id = $1
             )
             UPDATE streams SET due_at = now(), ticketed_at = NULL WHERE connection_id = $1 AND stream = ANY($2)",
            &[Stream::Reference],
            48.0,
        )
        .await;
    }

    /// Time passes for Intercom and for us.
    pub(crate) async fn pass(&self, seconds: f64) {
        self.world
            .simulator
            .clock()
            .advance(Duration::from_secs_f64(seconds));
        // The product compares with the clock of Postgres, which cannot be set. So the times are moved.
        for query in [
            "UPDATE streams SET due_at = due_at - make_interval(secs => $3),
                    walked_at = walked_at - make_interval(secs => $3),
                    blocked_until = blocked_until - make_interval(secs => $3),
                    refused_since = refused_since - make_interval(secs => $3)
             WHERE connection_id = $1 AND stream = ANY($2)",
            "UPDATE streams SET cursor = cursor || jsonb_build_object('polled_at',
                    coalesce(cursor->>'polled_at', cursor->>'begun_at')::timestamptz - make_interval(secs => $3))
             WHERE connection_id = $1 AND stream = ANY($2) AND stream IN ('contacts', 'conversations')
               AND cursor ? 'begun_at' AND cursor->>'since' IS NULL",
            "UPDATE quarantine SET next_try_at = next_try_at - make_interval(secs => $3)
             WHERE connection_id = $1 AND $2::text[] IS NOT NULL",
            "UPDATE threads SET due_at = due_at - make_interval(secs => $3),
                    failed_since = failed_since - make_interval(secs => $3), tried_at = tried_at - make_interval(secs => $3),
                    retry_at = retry_at - make_interval(secs => $3)
             WHERE connection_id = $1 AND status IN ('pending', 'blocked') AND $2::text[] IS NOT NULL",
        ] {
            self.of_streams(query, Stream::ALL, seconds).await;
        }
    }

    /// Streams that are due, in the order of the data.
    pub(crate) async fn due(&self) -> Vec<Stream> {
        let due = self
            .texts("SELECT stream FROM streams WHERE connection_id = $1 AND due_at <= now()")
            .await;
        Stream::ALL
            .iter()
            .filter(|stream| due.iter().any(|due| due == stream.as_str()))
            .copied()
            .collect()
    }

    /// Seconds until the next stream is due.
    pub(crate) async fn next_due_in(&self) -> Option<f64> {
        let rows: Vec<(Option<f64>,)> = self
            .sql("SELECT extract(epoch FROM min(due_at) - now())::float8 FROM streams WHERE connection_id = $1")
            .await;
        rows[0].0
    }

    /// Threads that have failed are due now, for their last attempt. Returns their ids.
    pub(crate) async fn make_failed_threads_due(&self) -> Vec<String> {
        let failed = self
            .texts(
                "UPDATE threads SET attempts = 9, due_at = now(), failed_since = now() - interval '1 day'
                 WHERE connection_id = $1 AND status = 'pending' AND error IS NOT NULL RETURNING source_id",
            )
            .await;
        self.make_due(&[Stream::Threads]).await;
        failed
    }

    /// Threads that have failed did so for a day, and are due now.
    pub(crate) async fn age_failed_threads(&self) {
        self.make_failed_threads_due().await;
    }

    /// Threads that have failed are due tomorrow.
    pub(crate) async fn put_off_failed_threads(&self) {
        self.texts(
            "UPDATE threads SET due_at = now() + interval '1 day'
             WHERE connection_id = $1 AND status = 'pending' AND error IS NOT NULL RETURNING source_id",
        )
        .await;
    }

    /// The day passes that a blocked thread waits for.
    pub(crate) async fn make_blocked_threads_due(&self) {
        self.texts(
            "UPDATE threads SET retry_at = now()
             WHERE connection_id = $1 AND status = 'blocked' AND retry_at IS NOT NULL RETURNING source_id",
        )
        .await;
        self.make_due(&[Stream::Threads]).await;
    }

    /// The look at the reference data that is under way began this many hours earlier, and it is due now.
    pub(crate) async fn age_reference(&self, hours: f64) {
        self.of_streams(
            "UPDATE streams SET due_at = now(), ticketed_at = NULL,
                    cursor = jsonb_set(cursor, '{begun_at}',
                        to_jsonb((cursor ->> 'begun_at')::timestamptz - make_interval(secs => $3 * 3600)))
             WHERE connection_id = $1 AND stream = ANY($2)",
            &[Stream::Reference],
            hours,
        )
        .await;
    }

    /// Threads are pending, as if a stub had said that they are an hour newer than their own call shows.
    pub(crate) async fn expect_newer_threads(&self) {
        self.of_streams(
            "WITH pending AS (
                UPDATE threads SET status = 'pending', due_at = now(),
                       stub_version = stub_version + make_interval(secs => $3 * 3600)
                WHERE connection_id = $1
             )
             UPDATE streams SET due_at = now(), ticketed_at = NULL WHERE connection_id = $1 AND stream = ANY($2)",
            &[Stream::Threads],
            1.0,
        )
        .await;
        self.count_threads_anew().await;
    }

    /// A company is wanted some seconds after the slice that will fetch it has begun, as a page of contacts leaves it if
    /// its transaction is younger than the slice.
    pub(crate) async fn want_a_company_in(&self, seconds: f64) {
        self.of_streams(
            "WITH wanted AS (
                INSERT INTO company_fetches (tenant_id, connection_id, source_id, requested_at)
                SELECT tenant_id, connection_id, source_id, now() + make_interval(secs => $3) FROM company_sources
                WHERE connection_id = $1 ORDER BY source_id LIMIT 1
             )
             UPDATE streams SET due_at = now(), ticketed_at = NULL WHERE connection_id = $1 AND stream = ANY($2)",
            &[Stream::Companies],
            seconds,
        )
        .await;
    }

    /// `$1` is the connection, `$2` the streams, `$3` an amount of time.
    async fn of_streams(&self, query: &'static str, streams: &[Stream], amount: f64) {
        let names: Vec<&str> = streams.iter().map(|stream| stream.as_str()).collect();
        loop {
            let done = sqlx::query(query)
                .bind(self.connection().0)
                .bind(&names)
                .bind(amount)
                .execute(&self.world.admin)
                .await;
            match done {
                // The order of these rows may meet the fleet's. Postgres ends one of the two.
                Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("40P01") => {}
                done => {
                    done.expect("postgres answers");
                    return;
                }
            }
        }
    }
}
