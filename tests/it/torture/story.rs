//! What happened in a world, told only if it ends badly.

/// The newest lines are the ones that matter.
const LINES: usize = 60;

pub(super) struct Story {
    seed: u64,
    lines: Vec<String>,
}

impl Story {
    pub(super) fn of(seed: u64) -> Self {
        Self { seed, lines: Vec::new() }
    }

    pub(super) fn tell(&mut self, line: String) {
        self.lines.push(line);
    }
}

impl Drop for Story {
    #[expect(clippy::print_stderr, reason = "a test that fails says why")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            let newest = &self.lines[self.lines.len().saturating_sub(LINES)..];
            eprintln!("the world of seed {}, its last {} steps:\n{}", self.seed, newest.len(), newest.join("\n"));
        }
    }
}
