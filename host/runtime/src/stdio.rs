//! Standard output and error of http guests: one log event a line, so that a guest's words carry its name and cannot
//! be taken for the host's.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::clock::Stopwatch;
use crate::stats::Stats;

/// Longer lines are cut into lines of this length.
const LINE_BYTES_MAX: usize = 8 << 10;
/// Lines of one component in a second; more are dropped and counted.
const LINES_PER_SECOND_MAX: u32 = 1_000;
/// What a guest may write in one call.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// The log of one component, shared by its instances.
#[derive(Debug)]
pub(crate) struct Log {
    component: String,
    stats: Arc<Stats>,
    since: Stopwatch,
    window: Mutex<Window>,
}

/// The current second and what happened in it.
#[derive(Debug, Default)]
struct Window {
    second: u64,
    lines: u32,
    dropped: u64,
}

impl Log {
    pub(crate) fn new(component: String, stats: Arc<Stats>) -> Self {
        Self { component, stats, since: Stopwatch::start(), window: Mutex::default() }
    }

    fn line(&self, stream: &'static str, line: &[u8]) {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        let (admitted, dropped) = window.admit(self.since.elapsed());
        drop(window);
        if dropped > 0 {
            tracing::warn!(target: "guest", component = %self.component, "{dropped} lines dropped: too many in a second");
        }
        if admitted {
            let text = String::from_utf8_lossy(line);
            tracing::info!(target: "guest", component = %self.component, stream, "{text}");
        } else {
            self.stats.guest_lines_dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Window {
    /// Whether one more line may be logged now, and how many were dropped in a second that is over.
    fn admit(&mut self, now: Duration) -> (bool, u64) {
        let mut dropped = 0;
        if now.as_secs() != self.second {
            dropped = std::mem::take(&mut self.dropped);
            *self = Self { second: now.as_secs(), ..Self::default() };
        }
        let admitted = self.lines < LINES_PER_SECOND_MAX;
        if admitted {
            self.lines += 1;
        } else {
            self.dropped += 1;
        }
        (admitted, dropped)
    }
}

/// One stream of one instance. Handles that the guest opens share the unfinished line.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    line: Arc<Mutex<Line>>,
}

#[derive(Debug)]
struct Line {
    log: Arc<Log>,
    stream: &'static str,
    unfinished: Vec<u8>,
}

impl Lines {
    /// `stream` is the name in the event: `stdout` or `stderr`.
    pub(crate) fn new(log: Arc<Log>, stream: &'static str) -> Self {
        Self { line: Arc::new(Mutex::new(Line { log, stream, unfinished: Vec::new() })) }
    }

    fn push(&self, bytes: &[u8]) {
        self.line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(bytes, |log, stream, line| log.line(stream, line));
    }
}

impl Line {
    fn push(&mut self, bytes: &[u8], emit: impl Fn(&Log, &'static str, &[u8])) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let (text, ended) = match piece {
                [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => (text, true),
                text => (text, false),
            };
            let mut rest = text;
            while self.unfinished.len() + rest.len() > LINE_BYTES_MAX {
                let (now, later) = rest.split_at(LINE_BYTES_MAX - self.unfinished.len());
                self.unfinished.extend_from_slice(now);
                emit(&self.log, self.stream, &std::mem::take(&mut self.unfinished));
                rest = later;
            }
            self.unfinished.extend_from_slice(rest);
            if ended {
                emit(&self.log, self.stream, &std::mem::take(&mut self.unfinished));
            }
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if !self.unfinished.is_empty() {
            self.log.line(self.stream, &self.unfinished);
        }
    }
}

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        self.push(bytes);
        std::task::Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn poll_shutdown(
        self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::task::Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// The lines that come out of these writes, and what stays unfinished.
    fn check(writes: &[&str]) -> Vec<String> {
        let log = Arc::new(Log::new("api".into(), Arc::default()));
        let mut line = Line { log, stream: "stdout", unfinished: Vec::new() };
        let out = RefCell::new(Vec::new());
        for write in writes {
            line.push(write.as_bytes(), |_, _, text| out.borrow_mut().push(String::from_utf8_lossy(text).into_owned()));
        }
        let unfinished = String::from_utf8_lossy(&std::mem::take(&mut line.unfinished)).into_owned();
        let mut out = out.into_inner();
        out.push(format!("unfinished: {unfinished}"));
        out
    }

    #[test]
    fn writes_become_lines() {
        assert_eq!(check(&["one\ntw", "o\r\n", "\nthree"]), ["one", "two", "", "unfinished: three"]);
    }

    #[test]
    fn a_line_without_an_end_is_cut() {
        let lengths: Vec<usize> = check(&[&"x".repeat(20_000), "\n"]).iter().map(String::len).collect();
        assert_eq!(lengths, [8192, 8192, 3616, "unfinished: ".len()]);
    }

    #[test]
    fn a_flood_is_dropped_and_counted_until_the_next_second() {
        let mut window = Window::default();
        let admitted = (0..1_500).filter(|_| window.admit(Duration::from_millis(10)).0).count();
        assert_eq!(admitted, 1_000);
        assert_eq!(window.admit(Duration::from_millis(1_010)), (true, 500));
        assert_eq!(window.admit(Duration::from_millis(1_020)), (true, 0));
    }
}
