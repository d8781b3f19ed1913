//! The watch: the right to measure the fleet and to publish its numbers, which one scheduler has at a time.
//!
//! It is not needed for correctness. Two schedulers that measure at once would publish the same numbers, and pay twice.

use std::time::Duration;

use super::{Queue, QueueError};

impl Queue {
    /// Takes or keeps the watch for so long. Returns the numbers that were told last, which are empty if there are none, or
    /// `None` if another holder has the watch.
    ///
    /// # Errors
    /// If Redis fails. The watch then ends when its time is over.
    pub async fn keep_watch(
        &self,
        holder: &str,
        time: Duration,
    ) -> Result<Option<String>, QueueError> {
        let milliseconds = time.as_millis().to_string();
        self.call_watch(&["keep", holder, &milliseconds]).await
    }

    /// Tells the numbers of the fleet and keeps the watch. Returns whether the holder still had it.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn tell_fleet_numbers(
        &self,
        holder: &str,
        time: Duration,
        numbers: &str,
    ) -> Result<bool, QueueError> {
        let milliseconds = time.as_millis().to_string();
        let arguments = ["tell", holder, &milliseconds, numbers];
        Ok(self.call_watch(&arguments).await?.is_some())
    }

    /// Gives the watch up, so that another scheduler takes it at once.
    ///
    /// # Errors
    /// If Redis fails. The watch then ends when its time is over.
    pub async fn leave_watch(&self, holder: &str) -> Result<(), QueueError> {
        self.call_watch(&["leave", holder]).await?;
        Ok(())
    }

    /// The numbers that the holder of the watch has told last, within ten minutes.
    ///
    /// # Errors
    /// If Redis fails.
    pub async fn fleet_numbers(&self) -> Result<Option<String>, QueueError> {
        self.timed("fleet_numbers", |mut redis| async move {
            redis::cmd("GET")
                .arg(format!("{}:fleet_numbers", self.prefix()))
                .query_async(&mut redis)
                .await
        })
        .await
    }

    async fn call_watch(&self, arguments: &[&str]) -> Result<Option<String>, QueueError> {
        let (has_it, numbers): (u8, String) = self
            .timed("watch", |mut redis| async move {
                let mut call = self.scripts().watch.key(self.prefix());
                for argument in arguments {
                    call.arg(*argument);
                }
                call.invoke_async(&mut redis).await
            })
            .await?;
        Ok((has_it == 1).then_some(numbers))
    }
}
