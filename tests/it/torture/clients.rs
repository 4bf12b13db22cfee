//! Clients who count what they got, and know nothing of the host's own counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tollgate_cli::host::Host;
use tollgate_cli::http::{Http, NoReply};

use super::dice::Dice;

/// Clients at the same time.
const CLIENTS: u64 = 4;
/// Parts of a streamed response; each is a unit.
const CHUNKS: u64 = 12;

/// Dimension and team; no team for units without a tag.
pub(super) type Bucket = (&'static str, &'static str);

/// Units by what the client knows of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Units {
    /// In responses, or parts of one, that arrived.
    pub(super) served: u64,
    /// Asked for, without such a response.
    pub(super) uncertain: u64,
}

/// What clients got.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) units: BTreeMap<Bucket, Units>,
    pub(super) responses: u64,
    /// Answered with 503: the host takes no new work.
    pub(super) refused: u64,
    /// Answers that no host may give.
    pub(super) wrong: Vec<String>,
}

impl Count {
    fn add(&mut self, bucket: Bucket, served: u64, uncertain: u64) {
        let units = self.units.entry(bucket).or_default();
        units.served += served;
        units.uncertain += uncertain;
    }

    pub(super) fn merge(&mut self, other: Self) {
        for (bucket, units) in other.units {
            self.add(bucket, units.served, units.uncertain);
        }
        self.responses += other.responses;
        self.refused += other.refused;
        self.wrong.extend(other.wrong);
    }

    /// All units of a dimension, whatever their team.
    pub(super) fn of(&self, dimension: &str) -> Units {
        let same = self.units.iter().filter(|((key, _), _)| *key == dimension);
        same.fold(Units::default(), |sum, (_, units)| Units {
            served: sum.served + units.served,
            uncertain: sum.uncertain + units.uncertain,
        })
    }
}

/// Clients at work until the host goes away.
pub(super) struct Load {
    clients: JoinSet<Count>,
    responses: mpsc::UnboundedReceiver<()>,
    tell: mpsc::UnboundedSender<()>,
    listen: SocketAddr,
}

impl Load {
    pub(super) fn on(host: &Host, dice: &mut Dice) -> Self {
        let (tell, responses) = mpsc::unbounded_channel();
        let mut load = Self { clients: JoinSet::new(), responses, tell, listen: host.listen };
        for number in 0..CLIENTS {
            let http = if number == 0 { Http::h2c() } else { Http::http1() };
            load.clients.spawn(client(http, host.url(""), host.listen, dice.fork(), load.tell.clone()));
        }
        load
    }

    /// Waits for so many responses, but not longer than `at_most`.
    pub(super) async fn responses(&mut self, number: u64, at_most: Duration) {
        let hear = async {
            for _ in 0..number {
                self.responses.recv().await;
            }
        };
        // A moment that passes without them is a moment as good as any other.
        let _ = tokio::time::timeout(at_most, hear).await;
    }

    /// Requests whose usage is counted and whose bodies are not yet ended; [`Held::let_go`] ends them all at once.
    pub(super) async fn hold(&mut self, dice: &mut Dice) -> Held {
        let mut held = Held { requests: Vec::new() };
        for _ in 0..CLIENTS {
            let units = dice.between(1, 9);
            let Ok(mut stream) = TcpStream::connect(self.listen).await else { continue };
            let head =
                format!("POST /hold?n={units} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: 4\r\n\r\n");
            if stream.write_all(format!("{head}bo").as_bytes()).await.is_ok() {
                held.requests.push((stream, units));
            }
        }
        held
    }

    /// What they got. The host must be gone.
    pub(super) async fn end(mut self) -> Count {
        let mut all = Count::default();
        while let Some(count) = self.clients.join_next().await {
            all.merge(count.unwrap());
        }
        all
    }

    pub(super) fn join(&mut self, held: Held) {
        for (stream, units) in held.requests {
            self.clients.spawn(held_answer(stream, units));
        }
    }
}

pub(super) struct Held {
    requests: Vec<(TcpStream, u64)>,
}

impl Held {
    pub(super) async fn let_go(&mut self) {
        for (stream, _) in &mut self.requests {
            // A host that is gone already leaves an answer that never comes.
            let _ = stream.write_all(b"dy").await;
        }
    }
}

async fn held_answer(stream: TcpStream, units: u64) -> Count {
    let answer = everything(stream).await;
    let mut count = Count::default();
    let served = answer.contains("counted 4");
    let refused = answer.starts_with("HTTP/1.1 503") || answer.contains("stopped 4");
    count.add(("images", ""), if served { units } else { 0 }, if served || refused { 0 } else { units });
    count.add(("requests", ""), u64::from(served), u64::from(!served && !refused));
    count.responses += u64::from(served);
    count
}

/// Sends one request after the other until there is nobody to answer.
async fn client(
    http: Http,
    origin: String,
    listen: SocketAddr,
    mut dice: Dice,
    tell: mpsc::UnboundedSender<()>,
) -> Count {
    let mut count = Count::default();
    loop {
        let goes_on = match dice.between(1, 10) {
            1 => stream(listen, &mut count).await,
            2..=4 => ask(&http, &origin, ("pixels", ""), dice.between(1, 3_000), &mut count).await,
            5..=7 => ask(&http, &origin, ("images", ""), dice.between(1, 9), &mut count).await,
            _ => ask(&http, &origin, ("images", dice.pick(&["red", "blue"])), dice.between(1, 9), &mut count).await,
        };
        // Nobody may be waiting any more.
        let _ = tell.send(());
        if !goes_on {
            return count;
        }
    }
}

/// One request for so many units. False: the host is gone.
async fn ask(http: &Http, origin: &str, bucket: Bucket, units: u64, count: &mut Count) -> bool {
    let (dimension, team) = bucket;
    let path = match team {
        "" => format!("/add?dim={dimension}&n={units}"),
        team => format!("/tagged?dim={dimension}&n={units}&team={team}"),
    };
    match http.get(&format!("{origin}{path}")).await {
        Ok(reply) if reply.status == 200 && reply.text() == "counted" => {
            count.add(bucket, units, 0);
            count.add(("requests", ""), 1, 0);
            count.responses += 1;
            true
        }
        Ok(reply) if reply.status == 200 && reply.text() == "stopped" => {
            count.add(("requests", ""), 1, 0);
            count.refused += 1;
            true
        }
        // Refused before the guest sees it, so it is not a request that was delivered.
        Ok(reply) if reply.status == 503 => {
            count.refused += 1;
            true
        }
        Ok(reply) => {
            count.wrong.push(format!("{path}: {} {}", reply.status, reply.text()));
            count.add(bucket, 0, units);
            count.add(("requests", ""), 0, 1);
            true
        }
        Err(NoReply { delivered: false, .. }) => false,
        Err(_) => {
            count.add(bucket, 0, units);
            count.add(("requests", ""), 0, 1);
            false
        }
    }
}

/// A response in parts, each of which is a unit: what arrived before the end counts. False: the host is gone.
async fn stream(listen: SocketAddr, count: &mut Count) -> bool {
    let Ok(mut stream) = TcpStream::connect(listen).await else { return false };
    let head = format!("GET /stream?chunks={CHUNKS}&size=40 HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
    let sent = stream.write_all(head.as_bytes()).await;
    let answer = everything(stream).await;
    // The last piece of a text that was cut off has no line end.
    let whole = answer.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let parts = u64::try_from(whole.lines().filter(|line| line.starts_with("chunk ")).count()).unwrap();
    let ended = answer.ends_with("0\r\n\r\n") || answer.starts_with("HTTP/1.1 503");
    count.add(("images", ""), parts, if ended { 0 } else { CHUNKS - parts });
    let delivered = answer.starts_with("HTTP/1.1 200");
    count.add(("requests", ""), u64::from(delivered), u64::from(!delivered && !ended));
    count.responses += u64::from(ended && delivered);
    count.refused += u64::from(ended && !delivered);
    sent.is_ok() && ended
}

/// What arrives until the connection ends in whatever way.
async fn everything(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // An end by reset is an end.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
