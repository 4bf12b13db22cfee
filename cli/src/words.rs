//! What the user sees: data on stdout, words on stderr, colour only where it is wanted.
//!
//! The only printer of this crate. NO_COLOR, CLICOLOR and pipes are honoured by the streams; nothing is said by
//! colour alone.

use std::io::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::table::{self, Row};
use crate::trouble::Trouble;

const TITLE: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const FAINT: Style = Style::new().dimmed();
/// A spinner that redraws more often than this costs more than it tells.
const TICK: Duration = Duration::from_millis(120);

/// One line of data to stdout. A reader that went away is not our trouble.
pub fn data(line: &str) {
    let _ = writeln!(anstream::stdout(), "{line}");
}

/// Bytes of data to stdout as they are.
pub fn raw(bytes: &[u8]) {
    let _ = std::io::stdout().write_all(bytes);
}

/// One line of words to stderr.
pub fn say(line: &str) {
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// A heading with a free line before it.
pub fn title(line: &str) {
    say(&format!("\n{TITLE}{line}{TITLE:#}"));
}

/// Something that holds.
pub fn good(line: &str) {
    say(&format!("  {GOOD}ok{GOOD:#}    {line}"));
}

/// Something that does not hold.
pub fn bad(line: &str) {
    say(&format!("  {BAD}FAIL{BAD:#}  {line}"));
}

/// A detail for those who look twice.
pub fn detail(line: &str) {
    say(&format!("        {FAINT}{line}{FAINT:#}"));
}

/// The table: data, unless other data follows it.
pub fn table(rows: &[Row], other_data: bool) {
    say("");
    for line in table::lines(rows) {
        if other_data { say(&format!("  {line}")) } else { data(&format!("  {line}")) }
    }
    say("");
}

/// An error with its cause and next step.
pub fn trouble(trouble: &Trouble) {
    say(&format!("{BAD}error{BAD:#}: {}", trouble.to_string().trim_end()));
}

/// Work that takes a while: a spinner on a terminal, and one line at its start and end elsewhere.
#[derive(Debug)]
pub struct Progress {
    label: String,
    bar: ProgressBar,
}

impl Progress {
    /// Begins. `label` is what is being done, in a few words.
    pub fn start(label: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("  {spinner}     {prefix} {wide_msg} {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(label.to_owned());
        bar.enable_steady_tick(TICK);
        if bar.is_hidden() {
            detail(&format!("{label} ..."));
        }
        Self { label: label.to_owned(), bar }
    }

    /// What is going on at this moment; only the newest is seen.
    pub fn step(&self, message: &str) {
        self.bar.set_message(message.to_owned());
    }

    /// Ends well. `result` is what came of it.
    pub fn done(self, result: &str) {
        self.bar.finish_and_clear();
        good(&format!("{}: {result}", self.label));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
