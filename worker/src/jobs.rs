//! Every job of the fleet, in the order in which the data flows. The only place that finds a stream's job.
//!
//! | job             | one slice                                        | made due by                          |
//! |-----------------|--------------------------------------------------|--------------------------------------|
//! | `reference`     | admins, teams, tags, segments, attributes        | connecting, `reference_interval`     |
//! | `contacts`      | pages of the list, or one of the changes         | connecting, `sync_interval`, resync  |
//! | `companies`     | the whole scroll, or companies fetched by id     | connecting, changed contacts, a walk |
//! | `conversations` | pages of stubs, side by side in a full walk      | connecting, `sync_interval`, resync  |
//! | `threads`       | a batch of threads                               | stubs that show more parts           |
//!
//! A job's name is its stream's name in tables, tickets, spans, metrics and the API.

use std::time::Duration;

use shared::{
    domain::{Class, Stream},
    store::SliceKey,
    sync::{
        self, Context, Job, SliceOutcome, companies, contacts, conversations, reference, threads,
    },
};

const SLICE: Duration = Duration::from_secs(180);
/// A scroll through all companies cannot be cut into slices. It fetches 100 a page at the pace of the rate limit.
const SCROLL: Duration = Duration::from_secs(2 * 60 * 60);

/// The list. A new stream compiles only with its entry here.
pub(crate) fn job(stream: Stream) -> Job {
    match stream {
        Stream::Reference => Job {
            run: |cx| Box::pin(reference::run(cx)),
            class: Class::Fresh,
            time_limit: SLICE,
        },
        Stream::Contacts => Job {
            run: |cx| Box::pin(contacts::run(cx)),
            class: Class::Fresh,
            time_limit: SLICE,
        },
        Stream::Companies => Job {
            run: |cx| Box::pin(companies::run(cx)),
            class: Class::Fresh,
            time_limit: SCROLL,
        },
        Stream::Conversations => Job {
            run: |cx| Box::pin(conversations::run(cx)),
            class: Class::Fresh,
            time_limit: SLICE,
        },
        Stream::Threads => Job {
            run: |cx| Box::pin(threads::run(cx)),
            class: Class::Backfill,
            time_limit: SLICE,
        },
    }
}

/// Works one slice of the key's stream, after `crashes` workers in a row died of it.
pub async fn work(context: &Context, key: SliceKey, crashes: u32) -> SliceOutcome {
    sync::work(context, key, crashes, job(key.stream)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticket_is_in_the_class_of_its_job() {
        for stream in Stream::ALL {
            assert_eq!(job(*stream).class, stream.class(), "{stream}");
        }
    }
}
