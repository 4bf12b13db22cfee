//! A child process: its output line by line, waiting for what it says or for its end, and its end when we end.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::trouble::{Result, Trouble};

/// A child that has not said or done what we wait for within this time hangs.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// One of the two output streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What the child reads from standard input.
#[derive(Clone, Debug, Default)]
pub enum Input {
    /// Nothing.
    #[default]
    Nothing,
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// What we would read ourselves.
    Ours,
}

/// A running child. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    said: watch::Receiver<usize>,
    lines: Arc<Mutex<Vec<(Stream, String)>>>,
    readers: Vec<tokio::task::JoinHandle<()>>,
    patience: Duration,
}

/// How a child ended and all it said.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// All of standard output.
    pub stdout: String,
    /// All of standard error.
    pub stderr: String,
}

impl Process {
    /// Starts `command` with its output captured.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(name: &str, command: &mut Command, input: Input) -> Result<Self> {
        let stdin = match &input {
            Input::Nothing => Stdio::null(),
            Input::Bytes(_) => Stdio::piped(),
            Input::Ours => Stdio::inherit(),
        };
        let mut child = command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Trouble::new(format!("cannot start {name}: {error}"), "", ""))?;
        if let (Some(mut pipe), Input::Bytes(bytes)) = (child.stdin.take(), input) {
            // A child that does not read its input has its reasons; its exit code tells them.
            tokio::spawn(async move { pipe.write_all(&bytes).await });
        }
        let (tell, said) = watch::channel(0);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let readers = [
            stdout.map(|pipe| tokio::spawn(listen(Stream::Stdout, pipe, lines.clone(), tell.clone()))),
            stderr.map(|pipe| tokio::spawn(listen(Stream::Stderr, pipe, lines.clone(), tell))),
        ];
        let readers = readers.into_iter().flatten().collect();
        Ok(Self { name: name.to_owned(), child, said, lines, readers, patience: PATIENCE })
    }

    /// Waits longer, or shorter, than [`PATIENCE`] for what the child says and for its end.
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The first line from `from` on for which `find` finds something, and the number of the line after it.
    /// None: both streams ended without it.
    ///
    /// # Errors
    /// The child said nothing of the kind for a long time.
    pub async fn watch<T>(
        &mut self,
        from: usize,
        find: impl Fn(Stream, &str) -> Option<T>,
    ) -> Result<Option<(T, usize)>> {
        let mut next = from;
        let search = async {
            loop {
                let ended = self.said.has_changed().is_err();
                self.said.borrow_and_update();
                let found = {
                    let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
                    let mut new = lines.iter().enumerate().skip(next);
                    let found = new.find_map(|(index, (stream, line))| Some((find(*stream, line)?, index + 1)));
                    next = next.max(lines.len());
                    found
                };
                if found.is_some() {
                    return found;
                }
                if ended {
                    return None;
                }
                // An error means that both streams ended; the lines are read once more.
                let _ = self.said.changed().await;
            }
        };
        match tokio::time::timeout(self.patience, search).await {
            Ok(found) => Ok(found),
            Err(_) => Err(self.hangs("did not say what we wait for")),
        }
    }

    /// Waits for the end of the child and of its output.
    ///
    /// # Errors
    /// It does not end.
    pub async fn end(mut self) -> Result<Ended> {
        let Ok(status) = tokio::time::timeout(self.patience, self.child.wait()).await else {
            return Err(self.hangs("does not end"));
        };
        let status = status.map_err(|error| Trouble::new(format!("{}: {error}", self.name), "", ""))?;
        for reader in self.readers.drain(..) {
            let _ = reader.await;
        }
        Ok(Ended { code: status.code(), stdout: self.text(Stream::Stdout), stderr: self.text(Stream::Stderr) })
    }

    /// Kills the child as `kill -9` does and waits until it is gone.
    ///
    /// # Errors
    /// It does not go.
    pub async fn kill(self) -> Result<()> {
        self.signal(Signal::KILL);
        self.end().await.map(|_| ())
    }

    /// Asks the child to stop (SIGTERM) and waits for its end.
    ///
    /// # Errors
    /// It does not end.
    pub async fn stop(self) -> Result<Ended> {
        self.signal(Signal::TERM);
        self.end().await
    }

    /// Its process id; none once it has been waited for.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends a signal. A child that has ended already gets none.
    pub fn signal(&self, signal: Signal) {
        let pid = self.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            let _ = kill_process(pid, signal);
        }
    }

    /// What it said so far on one stream.
    pub fn text(&self, stream: Stream) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::new();
        for (_, line) in lines.iter().filter(|(from, _)| *from == stream) {
            text.push_str(line);
            text.push('\n');
        }
        text
    }

    fn hangs(&self, what: &str) -> Trouble {
        Trouble::new(
            format!(
                "{} {what} within {} s. It said:\n{}",
                self.name,
                self.patience.as_secs(),
                self.text(Stream::Stderr)
            ),
            "the machine is very busy, or a fault of Tollgate",
            "try again; if it happens again, report it with these lines",
        )
    }
}

async fn listen(
    stream: Stream,
    pipe: impl AsyncRead + Unpin,
    lines: Arc<Mutex<Vec<(Stream, String)>>>,
    tell: watch::Sender<usize>,
) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    while pipe.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line).trim_end_matches('\n').to_owned();
        lines.lock().unwrap_or_else(PoisonError::into_inner).push((stream, text));
        tell.send_modify(|count| *count += 1);
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        Process::start("sh", Command::new("sh").args(["-c", script]), Input::Nothing).unwrap()
    }

    #[tokio::test]
    async fn a_line_is_seen_while_the_child_runs() {
        let mut child = shell("echo one; echo two >&2; exec sleep 600");
        let found = child.watch(0, |_, line| (line == "two").then_some(())).await.unwrap();
        assert!(found.is_some());
        child.kill().await.unwrap();
    }

    #[tokio::test]
    async fn a_line_that_never_comes_ends_with_the_child() {
        let mut child = shell("echo one");
        assert!(child.watch(0, |_, line| (line == "two").then_some(())).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_end_tells_code_and_both_streams() {
        let ended = shell("echo data; echo words >&2; exit 7").end().await.unwrap();
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (Some(7), "data\n", "words\n"));
    }

    #[tokio::test]
    async fn a_dropped_child_is_killed() {
        let child = shell("exec sleep 600");
        let pid = Pid::from_raw(i32::try_from(child.child.id().unwrap()).unwrap()).unwrap();
        drop(child);
        // Killed at once, reaped by the runtime a moment later.
        let dead = async {
            while std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|line| !line.contains(") Z ")) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, dead).await.unwrap();
    }
}
