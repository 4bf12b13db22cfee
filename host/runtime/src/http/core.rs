//! The threads that serve: one a processor, each with a runtime of its own, so that a request and its guest stay where they
//! are and share no lock with another processor.

use std::convert::Infallible;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::kept::Kept;
#[cfg(feature = "p3")]
use super::kept::Shelf;
use super::{Shared, connection};
use crate::component::Component;
use crate::meter::{Counters, Group, Meter};
use crate::turn;

/// Shorter than the timers of connections and requests.
const TICK: Duration = Duration::from_secs(1);

/// What the requests of one thread share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) shared: Arc<Shared>,
    /// Commits of this thread go together.
    pub(super) meter: Arc<Meter>,
    #[cfg(feature = "p3")]
    pub(super) kept: Shelf,
    alive: mpsc::WeakSender<Infallible>,
}

impl Core {
    /// Counters for a request to the component, and the instance that waits for it, if there is one.
    pub(super) fn instance(&self, component: &Component) -> (Counters, Option<Kept>) {
        #[cfg(feature = "p3")]
        if let Some(kept) = self.kept.take(component) {
            return (kept.counters.clone(), Some(kept));
        }
        (self.meter.instance(component.spec.index), None)
    }

    /// While it is held, the thread does not end in order.
    pub(super) fn alive(&self) -> Option<mpsc::Sender<Infallible>> {
        self.alive.upgrade()
    }
}

/// A connection and its place among all.
type Accepted = (TcpStream, Option<OwnedSemaphorePermit>);

/// All threads. Dropping this ends them at once, and what they do.
#[derive(Debug)]
pub(super) struct Cores {
    threads: Vec<Thread>,
    last: usize,
}

#[derive(Debug)]
struct Thread {
    streams: mpsc::UnboundedSender<Accepted>,
    /// Connections that it has.
    open: Arc<AtomicUsize>,
    /// Closed when it has ended.
    ended: oneshot::Receiver<Infallible>,
    /// Dropping it ends the thread.
    _stop: oneshot::Sender<Infallible>,
}

impl Cores {
    /// Starts one thread a processor that this process may use.
    pub(super) fn start(shared: &Arc<Shared>) -> std::io::Result<Self> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let threads = (0..processors).map(|number| Thread::start(number, shared.clone()));
        Ok(Self { threads: threads.collect::<Result<_, _>>()?, last: 0 })
    }

    /// Gives a connection to the thread that has the fewest.
    pub(super) fn take(&mut self, accepted: Accepted) {
        let count = self.threads.len();
        let numbers = (1..=count).map(|step| (self.last + step) % count);
        let Some(number) = numbers.min_by_key(|&number| self.threads[number].open.load(Relaxed)) else { return };
        self.last = number;
        let thread = &self.threads[number];
        thread.open.fetch_add(1, Relaxed);
        // A thread that is gone takes its connections with it.
        let _ = thread.streams.send(accepted);
    }

    /// Returns when all requests are answered, all guests have ended, and all usage is on disk.
    pub(super) async fn finish(self) {
        let (mut ends, mut stops) = (Vec::new(), Vec::new());
        for Thread { streams, ended, _stop, open: _ } in self.threads {
            drop(streams);
            ends.push(ended);
            stops.push(_stop);
        }
        for ended in ends {
            let _ = ended.await;
        }
    }
}

impl Thread {
    fn start(number: usize, shared: Arc<Shared>) -> std::io::Result<Self> {
        let (meter, group) = shared.meter.together();
        let own_group = group.clone();
        let runtime = Builder::new_current_thread()
            .enable_all()
            .on_thread_park(move || own_group.idle())
            .on_thread_unpark(turn::awake)
            .build()?;
        let (streams, arriving) = mpsc::unbounded_channel();
        let (_stop, stopped) = oneshot::channel();
        let (end, ended) = oneshot::channel();
        let open = Arc::<AtomicUsize>::default();
        let own = open.clone();
        let thread = std::thread::Builder::new().name(format!("serve-{number}"));
        thread.spawn(move || {
            run(&runtime, stopped, serve(shared, (meter, group), arriving, own));
            // A file operation of a guest may take its time; nobody waits for it any more.
            runtime.shutdown_background();
            drop(end);
        })?;
        Ok(Self { streams, open, ended, _stop })
    }
}

fn run(runtime: &Runtime, stopped: oneshot::Receiver<Infallible>, serving: impl Future<Output = ()>) {
    runtime.block_on(async {
        tokio::select! {
            // The pace first: it counts on being polled before what it has called.
            biased;
            () = turn::pace() => {}
            _ = stopped => {}
            () = serving => {}
        }
    });
}

/// Keeps a timer that is due before those of connections. While there is none, tokio wakes this thread by a system call for
/// each timer that a connection begins, though it is awake.
async fn tick() -> Infallible {
    loop {
        tokio::time::sleep(TICK).await;
    }
}

async fn serve(
    shared: Arc<Shared>,
    (meter, group): (Meter, Arc<Group>),
    mut arriving: mpsc::UnboundedReceiver<Accepted>,
    open: Arc<AtomicUsize>,
) {
    tokio::spawn(group.clone().keep());
    tokio::spawn(tick());
    tokio::spawn(turn::porter());
    let (alive, mut all_gone) = mpsc::channel(1);
    let core = Arc::new(Core {
        shared,
        meter: Arc::new(meter),
        #[cfg(feature = "p3")]
        kept: Shelf::default(),
        alive: alive.downgrade(),
    });
    let graceful = GracefulShutdown::new();
    while let Some((stream, permit)) = arriving.recv().await {
        let stream = match tokio::net::TcpStream::from_std(stream) {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!("a connection could not be taken: {error}");
                open.fetch_sub(1, Relaxed);
                continue;
            }
        };
        let (core, watcher, alive, open) = (core.clone(), graceful.watcher(), alive.clone(), open.clone());
        tokio::spawn(async move {
            connection(core, stream, watcher).await;
            open.fetch_sub(1, Relaxed);
            drop((permit, alive));
        });
    }
    graceful.shutdown().await;
    // A guest may work on after its response; its usage counts.
    drop(alive);
    let _: Option<Infallible> = all_gone.recv().await;
    group.settled().await;
}
