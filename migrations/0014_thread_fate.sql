-- The fate of a thread is decided in one Rust function (`domain::thread_fate`), from the locked row.

-- Unused since 0010. `judge_fetched` of 0010 is still called by the build before this one, so a later release drops it.
DROP FUNCTION judge_thread(threads, threads);
