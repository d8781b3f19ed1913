//! The baseline: the statements of a call and nothing else, over as many sessions as the API has.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{
    load::Caller,
    postgres::{BareSession, execution},
    recorded::Recording,
};
use crate::report::Failure;

/// The sessions that the clients share, each with every statement prepared.
pub(super) struct BareSessions {
    idle: Mutex<Vec<BareSession>>,
    free: Arc<Semaphore>,
    /// By request.
    work: Vec<Work>,
}

/// What one request does, ready to be sent.
struct Work(Vec<BareTransaction>);

struct BareTransaction {
    begin: String,
    executions: Vec<Vec<u8>>,
}

/// One of the clients.
pub(super) struct BareCaller(Arc<BareSessions>);

impl BareSessions {
    pub(super) async fn open(
        port: u16,
        count: usize,
        recording: &Recording,
    ) -> Result<Arc<Self>, Failure> {
        let mut idle = Vec::with_capacity(count);
        for _ in 0..count {
            let mut session = BareSession::open(port).await?;
            for (number, text) in recording.texts.iter().enumerate() {
                session.prepare(number, text).await?;
            }
            idle.push(session);
        }
        let mut work = Vec::with_capacity(recording.requests.len());
        for transactions in &recording.requests {
            let mut ready = Vec::with_capacity(transactions.len());
            for transaction in transactions {
                let steps = transaction.steps.iter();
                ready.push(BareTransaction {
                    begin: transaction.begin.clone(),
                    executions: steps
                        .map(|step| execution(step.text, &step.parameters))
                        .collect::<Result<_, _>>()?,
                });
            }
            work.push(Work(ready));
        }
        Ok(Arc::new(Self {
            idle: Mutex::new(idle),
            free: Arc::new(Semaphore::new(count)),
            work,
        }))
    }

    pub(super) fn callers(self: &Arc<Self>, count: usize) -> Vec<BareCaller> {
        (0..count).map(|_| BareCaller(Arc::clone(self))).collect()
    }

    /// The session, once there is one. It is given back by the caller.
    async fn carry_out(&self, session: &mut BareSession, request: usize) -> Result<(), Failure> {
        let Work(transactions) = &self.work[request];
        for (number, transaction) in transactions.iter().enumerate() {
            if number > 0 {
                session.simple("ROLLBACK").await?;
            }
            session.simple(&transaction.begin).await?;
            for execution in &transaction.executions {
                session.execute(execution).await?;
            }
        }
        Ok(())
    }
}

impl Caller for BareCaller {
    async fn call(&mut self, request: usize) -> Result<Duration, Failure> {
        let begun = Instant::now();
        let sessions = Arc::clone(&self.0);
        let turn = Arc::clone(&sessions.free).acquire_owned().await?;
        let mut session = sessions.idle.lock().pop().ok_or("no session is idle")?;
        sessions.carry_out(&mut session, request).await?;
        let taken = begun.elapsed();
        // Behind the answer, as the API does it.
        tokio::spawn(async move {
            match session.simple("ROLLBACK").await {
                Ok(_) => sessions.idle.lock().push(session),
                Err(error) => eprintln!("bench: a rollback failed: {error}"),
            }
            drop(turn);
        });
        Ok(taken)
    }
}
