//! The demo's customers: pictures in, thumbnails out, and a count that knows nothing of the host's.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use hyper::Method;
use tokio::sync::mpsc::UnboundedSender;

use super::picture;
use crate::http::{Http, NoReply, Reply};
use crate::trouble::{Result, Trouble};

/// Width of the thumbnails that are asked for, in pixels.
const WIDTH: u32 = 120;
/// Teams by header; the last customer names none.
const TEAMS: [Option<&str>; 3] = [Some("red"), Some("blue"), None];

/// A picture to send.
#[derive(Clone, Debug)]
struct Sample {
    name: String,
    bytes: Bytes,
    pixels: u64,
    /// Size of its thumbnail.
    small: (u32, u32),
}

/// What customers got.
#[derive(Clone, Debug, Default)]
pub(super) struct Count {
    /// Thumbnails that arrived whole.
    pub images: u64,
    /// Pixels of their originals.
    pub pixels: u64,
    /// Requests whose response never arrived.
    pub uncertain_images: u64,
    /// Pixels of their originals.
    pub uncertain_pixels: u64,
    /// Thumbnails by team; those without one under an empty name.
    pub by_team: BTreeMap<String, u64>,
    /// Responses that were not the thumbnail that was asked for.
    pub wrong: Vec<String>,
}

impl Count {
    /// Adds what others got.
    pub(super) fn merge(&mut self, other: Self) {
        self.images += other.images;
        self.pixels += other.pixels;
        self.uncertain_images += other.uncertain_images;
        self.uncertain_pixels += other.uncertain_pixels;
        self.wrong.extend(other.wrong);
        for (team, images) in other.by_team {
            *self.by_team.entry(team).or_default() += images;
        }
    }
}

/// All customers.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    samples: Vec<Sample>,
    http: Http,
}

impl Traffic {
    /// Customers who send the pictures in `folder`.
    ///
    /// # Errors
    /// There is none, or one that is no picture.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let entries = std::fs::read_dir(folder).map_err(|error| Trouble::file("read", folder, &error))?;
        let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort();
        let samples = files.iter().map(|file| sample(file)).collect::<Result<Vec<_>>>()?;
        if samples.is_empty() {
            return Err(Trouble::new(format!("there are no pictures in {}", folder.display()), "", ""));
        }
        Ok(Self { samples, http: Http::http1() })
    }

    /// What `count` customers get, one after the other. Ends early when the host goes away.
    ///
    /// `served` hears of each thumbnail, for those who wait for a number of them.
    pub(super) async fn run(&self, url: &str, count: usize, served: UnboundedSender<()>) -> Count {
        let mut got = Count::default();
        for number in 0..count {
            let sample = &self.samples[number % self.samples.len()];
            // Teams change more slowly than pictures, so that each team sends each picture.
            let team = TEAMS[(number / self.samples.len()) % TEAMS.len()];
            let headers: Vec<(&str, &str)> = team.map(|team| ("x-team", team)).into_iter().collect();
            let url = format!("{url}?width={WIDTH}");
            match self.http.send(Method::POST, &url, &headers, sample.bytes.clone()).await {
                Ok(reply) => {
                    judge(&reply, sample, team, &mut got);
                    // Nobody may be waiting any more.
                    let _ = served.send(());
                }
                Err(NoReply { delivered: false, .. }) => return got,
                Err(_) => {
                    got.uncertain_images += 1;
                    got.uncertain_pixels += sample.pixels;
                    return got;
                }
            }
        }
        got
    }
}

fn judge(reply: &Reply, sample: &Sample, team: Option<&str>, got: &mut Count) {
    let size = picture::size(&reply.body);
    if !reply.status.is_success() || size != Some(sample.small) {
        let said = if reply.status.is_success() { format!("{size:?}") } else { reply.text() };
        got.wrong.push(format!("{}: {} {said}", sample.name, reply.status));
        return;
    }
    got.images += 1;
    got.pixels += sample.pixels;
    *got.by_team.entry(team.unwrap_or_default().to_owned()).or_default() += 1;
}

fn sample(file: &Path) -> Result<Sample> {
    let bytes = std::fs::read(file).map_err(|error| Trouble::file("read", file, &error))?;
    let (width, height) = picture::size(&bytes)
        .ok_or_else(|| Trouble::new(format!("{} is not a JPEG, PNG or WebP", file.display()), "", ""))?;
    // The product keeps the proportions and rounds down.
    let small = if width > WIDTH { (WIDTH, (height * WIDTH / width).max(1)) } else { (width, height) };
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Sample { name, bytes: bytes.into(), pixels: u64::from(width) * u64::from(height), small })
}
