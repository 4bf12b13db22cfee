//! The report: what a log's lines add up to. Knows neither Tollgate nor the streams.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Different names a table holds; those that come later are added up as "others", so that a hostile log cannot take all memory.
const NAMES_MAX: usize = 50_000;

#[derive(Default)]
pub struct Report {
    lines: u64,
    unreadable: u64,
    bytes: u64,
    statuses: [u64; 5],
    paths: Table,
    clients: Table,
    hours: Table,
}

impl Report {
    /// Adds one line of the common or combined log format.
    pub fn take(&mut self, line: &str) {
        let Some(entry) = Entry::parse(line) else {
            self.unreadable += 1;
            return;
        };
        self.lines += 1;
        self.bytes = self.bytes.saturating_add(entry.bytes);
        self.statuses[entry.class] += 1;
        self.paths.add(entry.path);
        self.clients.add(entry.client);
        self.hours.add(entry.hour);
    }

    /// The lines that were read and understood.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    pub fn text(&self, top: usize) -> String {
        let mut text =
            format!("requests    {}\nbytes sent  {}\nunreadable  {}\n", self.lines, self.bytes, self.unreadable);
        let classes: Vec<_> =
            self.statuses.iter().enumerate().map(|(class, count)| format!("{}xx {count}", class + 1)).collect();
        text.push_str(&format!("statuses    {}\n", classes.join("  ")));
        for (title, table) in [("paths", &self.paths), ("clients", &self.clients), ("hours", &self.hours)] {
            table.print(title, top, &mut text);
        }
        text
    }
}

#[derive(Default)]
struct Table {
    counts: BTreeMap<String, u64>,
    others: u64,
}

impl Table {
    fn add(&mut self, name: &str) {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
        } else if self.counts.len() < NAMES_MAX {
            self.counts.insert(name.to_owned(), 1);
        } else {
            self.others += 1;
        }
    }

    /// The `top` largest, equal ones by name.
    fn print(&self, title: &str, top: usize, text: &mut String) {
        let mut rows: Vec<_> = self.counts.iter().collect();
        rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        let rest: u64 = rows.iter().skip(top).map(|(_, count)| **count).sum::<u64>() + self.others;
        let _ = writeln!(text, "\n{title}");
        for (name, count) in rows.into_iter().take(top) {
            let _ = writeln!(text, "  {count:>8}  {name}");
        }
        if rest > 0 {
            let _ = writeln!(text, "  {rest:>8}  (others)");
        }
    }
}

struct Entry<'a> {
    client: &'a str,
    hour: &'a str,
    path: &'a str,
    /// 0 for 1xx to 4 for 5xx.
    class: usize,
    bytes: u64,
}

impl<'a> Entry<'a> {
    /// `client ident user [20/Nov/2026:14:03:11 +0000] "GET /path HTTP/1.1" 200 1234`, and anything after it.
    fn parse(line: &'a str) -> Option<Self> {
        let (client, rest) = line.split_once(' ')?;
        let (time, rest) = rest.split_once('[')?.1.split_once("] \"")?;
        let (request, rest) = rest.split_once("\" ")?;
        let mut numbers = rest.split_ascii_whitespace();
        let status: usize = numbers.next()?.parse().ok()?;
        let bytes = match numbers.next()? {
            "-" => 0,
            bytes => bytes.parse().ok()?,
        };
        let target = request.split(' ').nth(1)?;
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let class = (100..600).contains(&status).then(|| status / 100 - 1)?;
        Some(Self { client, hour: time.get(..14)?, path, class, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_common_and_the_combined_format() {
        check(
            r#"10.0.0.1 - - [20/Nov/2026:14:03:11 +0000] "GET /a?x=1 HTTP/1.1" 200 512
10.0.0.2 - bob [20/Nov/2026:14:59:59 +0000] "POST /b HTTP/1.1" 503 - "-" "curl/8.5"
10.0.0.1 - - [20/Nov/2026:15:00:00 +0000] "GET /a HTTP/1.1" 304 0"#,
            "requests    3
bytes sent  512
unreadable  0
statuses    1xx 0  2xx 1  3xx 1  4xx 0  5xx 1

paths
         2  /a
         1  (others)

clients
         2  10.0.0.1
         1  (others)

hours
         2  20/Nov/2026:14
         1  (others)
",
        );
    }

    #[test]
    fn what_is_no_log_line_is_unreadable_and_free() {
        check(
            "hello\n10.0.0.1 - - [x] \"GET / HTTP/1.1\" 200 1\n10.0.0.1 - - [20/Nov/2026:15:00:00 +0000] \"GET / HTTP/1.1\" 999 1",
            "requests    0
bytes sent  0
unreadable  3
statuses    1xx 0  2xx 0  3xx 0  4xx 0  5xx 0

paths

clients

hours
",
        );
    }

    fn check(log: &str, expected: &str) {
        let mut report = Report::default();
        log.lines().for_each(|line| report.take(line));
        assert_eq!(report.text(1), expected);
    }
}
