//! The five acts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;

use super::story::Story;
use super::traffic::{Count, Traffic};
use crate::control::Record;
use crate::host::{self, Host, HostCommand, Started, Tally};
use crate::open_watch::OpenWatch;
use crate::product::Product;
use crate::service::Service;
use crate::table::Row;
use crate::trouble::{Result, Trouble};
use crate::words::{self, Progress};

/// An hour, and the twenty minutes within which a finished hour is sent, and one more.
const HOUR_AND_SENT_S: u64 = 3600 + 21 * 60;
/// The demo starts this long after the beginning of an hour, so that no act crosses its end by chance.
const INTO_THE_HOUR_S: u64 = 300;
/// Customers at the same time, and how many pictures each sends in one act: a multiple of samples and teams.
const CUSTOMERS: usize = 4;
const PICTURES: usize = 18;
/// The host is killed after so many thumbnails, while others are being made.
const KILLED_AFTER: usize = 30;
/// It is killed anew if nothing was under way, at most so often.
const KILLS_MAX: usize = 5;
/// The sample pictures are small, so the demo counts its gigapixels in millions.
const PER: (&str, &str) = ("per = 1_000_000_000", "per = 1_000_000");

/// Everything the acts share.
struct Stage {
    service: Service,
    product: Product,
    component: PathBuf,
    code: String,
    traffic: Traffic,
    program: PathBuf,
    ledger: PathBuf,
}

/// Plays the five acts in `folder`.
pub(super) async fn play(example: &Path, folder: &Path, story: &mut Story) -> Result<()> {
    let stage = Stage::set(example, folder).await?;
    stage.refused(story).await?;
    let (command, mut host, first) = stage.sold(story).await?;
    stage.hour_passes(story, &mut host, &first).await?;
    let (host, second) = stage.killed(story, &command, host).await?;
    let mut all = first;
    all.merge(second);
    stage.compare(story, &host, &all).await?;
    let ended = host.process.stop().await?;
    story.fact(ended.code == Some(0), format!("asked to stop, the host ends with {}", host::code(&ended)));
    stage.service.stop().await;
    Ok(())
}

impl Stage {
    async fn set(example: &Path, folder: &Path) -> Result<Self> {
        words::title("Setting the stage");
        let original = Product::read(example)?;
        original.build().await?;
        let product = original.stage(&folder.join("product"), |manifest| manifest.replace(PER.0, PER.1))?;
        let service = Service::start(([127, 0, 0, 1], 0).into()).await?;
        words::good(&format!("an emulated AWS Marketplace Metering Service listens on {}", service.address));
        let now_s = service.control.clock().await?.now_ms / 1000;
        service.control.set_clock(now_s / 3600 * 3600 + 3600 + INTO_THE_HOUR_S).await?;
        product.announce(&service.control).await?;
        let nothing = || Trouble::new("the example has no listing or no component", "", "");
        Ok(Self {
            component: product.sources().into_iter().next().ok_or_else(nothing)?,
            code: product.manifest.listings.first().ok_or_else(nothing)?.product_code.clone(),
            traffic: Traffic::of(&original.folder.join("samples"))?,
            program: std::env::current_exe().map_err(|error| Trouble::file("find", Path::new("tollgate"), &error))?,
            ledger: folder.join("ledger"),
            service,
            product,
        })
    }

    /// A host in a new task: another identity at AWS.
    async fn new_task(&self) -> Result<HostCommand> {
        let task = self.service.control.task("ecs").await?;
        let origin = self.service.control.origin();
        Ok(HostCommand::new(&self.program, origin, &task, &self.product.folder, &self.ledger))
    }

    /// Act 1.
    async fn refused(&self, story: &mut Story) -> Result<()> {
        story.act("without a subscription the product does not start");
        let mut watch = OpenWatch::on(&self.component)?;
        let ended = match self.new_task().await?.run().await? {
            Started::Ended(ended) => ended,
            Started::Ready(_) => return Err(Trouble::fails("the host serves without a subscription", "", "")),
        };
        for line in ended.stderr.lines().filter(|line| !line.starts_with('{')) {
            words::detail(line);
        }
        story.fact(ended.code == Some(77), format!("the host ended with {} (77: not entitled)", host::code(&ended)));
        let (calls, _) = self.service.control.calls_so_far().await?;
        let refusal = calls.iter().find_map(|call| call.code.clone()).unwrap_or_default();
        story.fact(refusal.contains("NotEntitled"), format!("AWS was asked and said {refusal}"));
        let opened = watch.opened()?;
        story.fact(
            opened == 0,
            format!("the component was opened {opened} times: nothing of it was read, compiled or run"),
        );
        Ok(())
    }

    /// Act 2.
    async fn sold(&self, story: &mut Story) -> Result<(HostCommand, Host, Count)> {
        story.act("with a subscription it starts and serves real pictures");
        self.service.control.subscribe(&self.code, true).await?;
        let mut watch = OpenWatch::on(&self.component)?;
        let command = self.new_task().await?;
        let host = start(&command).await?;
        let opened = watch.opened()?;
        story.fact(opened > 0, format!("the same watch now saw the component opened {opened} time(s)"));
        let served = self.customers(&host, PICTURES).await;
        check_pictures(story, &served);
        let by_team: Vec<String> = served
            .by_team
            .iter()
            .map(|(team, images)| format!("{images} {}", if team.is_empty() { "without a team" } else { team }))
            .collect();
        words::detail(&format!("by header x-team: {}", by_team.join(", ")));
        Ok((command, host, served))
    }

    /// Act 3.
    async fn hour_passes(&self, story: &mut Story, host: &mut Host, served: &Count) -> Result<()> {
        story.act("an hour passes, and AWS accepts one record for each dimension");
        self.service.control.advance(HOUR_AND_SENT_S).await?;
        host.settled(&self.service.control).await?;
        let records = self.billed().await?;
        records.iter().for_each(|record| story.record(record));
        let dimensions: Vec<&str> = records.iter().map(|record| record.dimension.as_str()).collect();
        let mut expected = self.product.sold();
        expected.sort_unstable();
        story.fact(dimensions == expected, format!("one record each: {}", dimensions.join(", ")));
        let ids = records.iter().all(|record| !record.record_id.is_empty());
        story.fact(ids, "each has a record id, AWS's receipt");
        let images = records.iter().find(|record| record.dimension == "images");
        let by_team = images.map(allocations).unwrap_or_default();
        story.fact(
            by_team == served.by_team,
            format!("the images of each team are as the customers counted: {by_team:?}"),
        );
        Ok(())
    }

    /// Act 4.
    async fn killed(&self, story: &mut Story, command: &HostCommand, mut host: Host) -> Result<(Host, Count)> {
        story.act("kill -9 in mid-traffic, restart, more traffic, another hour");
        let mut served = Count::default();
        for _ in 0..KILLS_MAX {
            served.merge(self.kill(host).await?);
            host = start(command).await?;
            // On a busy machine all answers may be out when the kill comes; then it has stopped nothing.
            if served.uncertain_images > 0 {
                break;
            }
        }
        words::detail(&format!(
            "killed: {} thumbnails had arrived, {} more requests were under way and got no answer",
            served.images, served.uncertain_images
        ));
        story.fact(served.images > 0 && served.uncertain_images > 0, "it died in the middle of its work");
        story.fact(true, "it came back under the same identity, with the same ledger");
        let more = self.customers(&host, PICTURES).await;
        check_pictures(story, &more);
        served.merge(more);
        self.service.control.advance(HOUR_AND_SENT_S).await?;
        host.settled(&self.service.control).await?;
        let records = self.billed().await?;
        records.iter().rev().take(self.product.sold().len()).for_each(|record| story.record(record));
        Ok((host, served))
    }

    /// Kills the host while customers are at it; what they got.
    async fn kill(&self, host: Host) -> Result<Count> {
        let (tell, mut hear) = mpsc::unbounded_channel();
        let customers: Vec<_> = (0..CUSTOMERS)
            .map(|_| {
                let (traffic, url, tell) = (self.traffic.clone(), host.url("/"), tell.clone());
                tokio::spawn(async move { traffic.run(&url, usize::MAX, tell).await })
            })
            .collect();
        // So that it ends when all customers have gone.
        drop(tell);
        for _ in 0..KILLED_AFTER {
            hear.recv().await;
        }
        host.process.kill().await?;
        let mut served = Count::default();
        for customer in customers {
            served.merge(customer.await.map_err(|error| Trouble::new(format!("a customer failed: {error}"), "", ""))?);
        }
        Ok(served)
    }

    /// Act 5.
    async fn compare(&self, story: &mut Story, host: &Host, served: &Count) -> Result<()> {
        story.act("four counts that do not know each other");
        let truth = self.service.control.truth().await?;
        let sold = self.product.sold();
        let mut tallies = host.tallies().await?;
        tallies.retain(|tally| sold.contains(&tally.dimension));
        let counted = |tally: &Tally| match tally.dimension.as_str() {
            "images" => (served.images, served.uncertain_images),
            _ => (served.pixels, served.uncertain_pixels),
        };
        let rows: Vec<Row> = tallies
            .iter()
            .map(|tally| {
                let (units, uncertain) = counted(tally);
                let served = units / tally.per;
                Row {
                    dimension: tally.dimension.clone(),
                    served,
                    uncertain: (units + uncertain) / tally.per - served,
                    ledger: tally.recorded / tally.per,
                    accepted: tally.accepted / tally.per,
                    truth: truth.billed.get(&tally.dimension).copied().unwrap_or(0),
                }
            })
            .collect();
        for tally in tallies.iter().filter(|tally| tally.per > 1) {
            let (units, uncertain) = counted(tally);
            let exact = (units..=units + uncertain).contains(&tally.recorded);
            let Tally { dimension, per, recorded, remainder, .. } = tally;
            story.fact(
                exact,
                format!(
                    "{dimension}: {recorded} pixels are written, {remainder} of them wait for a whole {per} \
                     (a million here, a thousand million in the example: the demo's pictures are small)"
                ),
            );
        }
        let holds = !rows.is_empty() && rows.iter().all(Row::holds);
        story.fact(
            holds,
            "served (and perhaps what was under way at the kill), ledger, accepted and truth are equal in every row",
        );
        story.table(rows);
        Ok(())
    }

    /// What several customers at once get.
    async fn customers(&self, host: &Host, pictures: usize) -> Count {
        let (tell, _hear) = mpsc::unbounded_channel();
        let url = host.url("/");
        let one = || self.traffic.run(&url, pictures, tell.clone());
        let (a, b, c, d) = tokio::join!(one(), one(), one(), one());
        let mut all = Count::default();
        [a, b, c, d].into_iter().for_each(|count| all.merge(count));
        all
    }

    /// Accepted records of what is sold: those for entitlement alone are of no units and no dimension of the product.
    async fn billed(&self) -> Result<Vec<Record>> {
        let mut records = self.service.control.truth().await?.records;
        let sold = self.product.sold();
        records.retain(|record| sold.contains(&record.dimension));
        records.sort_by(|a, b| (&a.hour, &a.dimension).cmp(&(&b.hour, &b.dimension)));
        Ok(records)
    }
}

async fn start(command: &HostCommand) -> Result<Host> {
    let progress = Progress::start("starting the host: asking AWS, compiling the component");
    let host = command.serve().await?;
    progress.done(&format!("serving on {}", host.url("/")));
    Ok(host)
}

fn check_pictures(story: &mut Story, served: &Count) {
    for wrong in served.wrong.iter().take(3) {
        words::detail(wrong);
    }
    let all = served.wrong.is_empty() && served.images > 0;
    story.fact(all, format!("{} thumbnails came back, each of the size that was asked for", served.images));
}

fn allocations(record: &Record) -> BTreeMap<String, u64> {
    let team = |tags: &[(String, String)]| tags.iter().find(|(key, _)| key == "team").map(|(_, team)| team.clone());
    record.allocations.iter().map(|part| (team(&part.tags).unwrap_or_default(), part.quantity)).collect()
}
