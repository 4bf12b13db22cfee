//! Standard output and error of http guests: one log event a line, so that a guest's words carry its name and cannot
//! be taken for the host's: they are in a field of their own, and the message is always the same.

use std::borrow::Cow;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::rate::{Admission, Rate};
use crate::stats::Stats;

/// Longer lines are cut into lines of this length.
const LINE_BYTES_MAX: usize = 8 << 10;
/// Lines and bytes of one component in a second; more are dropped and counted.
const LINES_PER_SECOND_MAX: u32 = 1_000;
const BYTES_PER_SECOND_MAX: usize = 256 << 10;
/// What a guest may write in one call.
const WRITE_BYTES_MAX: usize = 64 << 10;

/// The log of one component, shared by its instances.
#[derive(Debug)]
pub(crate) struct Log {
    component: String,
    stats: Arc<Stats>,
    rate: Rate,
}

impl Log {
    pub(crate) fn new(component: String, stats: Arc<Stats>) -> Self {
        Self { component, stats, rate: Rate::new(LINES_PER_SECOND_MAX, BYTES_PER_SECOND_MAX) }
    }

    fn line(&self, stream: &'static str, line: &[u8]) {
        let Admission { admitted, dropped } = self.rate.admit(line.len());
        if dropped > 0 {
            tracing::warn!(target: "guest", component = %self.component, "{dropped} lines dropped: too many in a second");
        }
        if admitted {
            let text = visible(&String::from_utf8_lossy(line)).into_owned();
            tracing::info!(target: "guest", component = %self.component, stream, line = text, "guest");
        } else {
            self.stats.guest_lines_dropped.fetch_add(1, Relaxed);
        }
    }
}

/// Control characters as escapes one can see, so that a line moves no cursor, whatever shows the log: JSON escapes those
/// of ASCII only, and viewers undo that. Characters that turn the direction of the text are among them.
fn visible(text: &str) -> Cow<'_, str> {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let hidden = |c: char| c != '\t' && (c.is_control() || turns(c));
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let escape = |c: char| if hidden(c) { c.escape_unicode().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(escape).collect())
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
    fn what_would_move_a_cursor_is_made_visible() {
        assert_eq!(visible("plain\ttext é {\"a\":1}"), "plain\ttext é {\"a\":1}");
        assert_eq!(visible("\u{1b}[2J\r\0\u{9b}31m\u{202e}"), "\\u{1b}[2J\\u{d}\\u{0}\\u{9b}31m\\u{202e}");
    }
}
