//! Serves http components over HTTP/1.1 and HTTP/2 without TLS.
//!
//! One thread accepts, one a processor serves. Each request gets its own instance. Nothing of a response leaves before the usage counted until then is on disk
//! (`hold`). Absent on purpose: TLS, compression, static files, health checks; those belong to the load balancer and
//! to the admin port.

mod arriving;
mod body;
mod core;
mod exchange;
mod hold;
mod joined;
#[cfg(feature = "p3")]
mod kept;
#[cfg(not(feature = "p3"))]
mod kept {
    /// Without WASI 0.3 no instance waits for another request.
    pub(super) enum Kept {}
}
#[cfg(feature = "p3")]
mod later;
mod refusal;
mod route;
mod running;

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::component::Component;
use crate::engine::Runtime;
use crate::limits::Limits;
use crate::meter::Meter;
use crate::stats::{Stats, bump};

/// From the first byte a connection could send until the head of a request is complete; also how long a connection may
/// idle. Longer than the 60 seconds after which load balancers give up theirs, or they would send into closed ones.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Bytes of a request head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Connections at the same time; more wait in the backlog of the kernel.
const CONNECTIONS_MAX: usize = 4096;
/// How often an idle HTTP/2 connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// How long a client may take no byte of what is ready for it. The guest's own time is bounded elsewhere; this is for what
/// is left when the guest has ended.
const STALLED_MAX: Duration = Duration::from_secs(75);
/// A pause after the system refused a connection for want of file handles or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Routes that cannot be served. The product is at fault.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// Two components for the same prefix.
    #[error("components \"{first}\" and \"{second}\" both answer \"{route}\". Give one of them another `route`")]
    Twice {
        /// One component.
        first: String,
        /// The other.
        second: String,
        /// Their route.
        route: String,
    },
    /// A route that no path can begin with.
    #[error("component \"{component}\": its route \"{route}\" does not begin with a slash")]
    NoSlash {
        /// The component.
        component: String,
        /// Its route.
        route: String,
    },
    /// A command among the components.
    #[error("component \"{component}\" is a command and answers no requests. Say run = \"command\" in the manifest")]
    NotHttp {
        /// The component.
        component: String,
    },
}

/// Answers requests by components. Clones share their limits.
#[derive(Clone, Debug)]
pub struct Server {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    routes: route::Routes,
    meter: Meter,
    limits: Limits,
    stats: Arc<Stats>,
    connections: Arc<Semaphore>,
}

impl Server {
    /// A server that is not listening yet. Limits are those the runtime was made for.
    ///
    /// # Errors
    ///
    /// See [`RouteError`].
    pub fn new(runtime: &Runtime, components: Vec<Component>, meter: Meter) -> Result<Self, RouteError> {
        let limits = runtime.limits.clone();
        let shared = Shared {
            routes: route::Routes::new(components)?,
            meter,
            stats: runtime.stats.clone(),
            connections: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
            limits,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Accepts and answers until `drain` turns true or its sender is gone; then accepts no more, and returns when all
    /// requests are answered, all guests have ended, which [`Limits::request_timeout`] bounds, and all their usage is on
    /// disk. Dropping the future ends it at once.
    ///
    /// # Errors
    ///
    /// The listener could not be used, or there are no threads; a failing connection is no error of the server.
    pub async fn serve(
        &self,
        listener: std::net::TcpListener,
        mut drain: watch::Receiver<bool>,
    ) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let mut cores = core::Cores::start(&self.shared)?;
        loop {
            tokio::select! {
                biased;
                // A sender that is gone can no longer ask for anything else.
                _ = drain.wait_for(|&drain| drain) => break,
                accepted = self.accept(&listener) => cores.take(accepted),
            }
        }
        drop(listener);
        cores.finish().await;
        Ok(())
    }

    async fn accept(&self, listener: &TcpListener) -> (std::net::TcpStream, Option<OwnedSemaphorePermit>) {
        // The semaphore is never closed, so there is always a permit in the end.
        let permit = self.shared.connections.clone().acquire_owned().await.ok();
        loop {
            match listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
                Ok(stream) => return (stream, permit),
                Err(error) => {
                    tracing::warn!("a connection could not be accepted: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn connection(core: Arc<core::Core>, stream: TcpStream, watcher: hyper_util::server::graceful::Watcher) {
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(STALLED_MAX));
    let asked = Arc::new(AtomicBool::new(false));
    let service = service_fn({
        let asked = asked.clone();
        move |request| {
            asked.store(true, Relaxed);
            bump(&core.shared.stats.requests);
            let core = core.clone();
            async move { Ok::<_, Infallible>(exchange::answer(core, request).await) }
        }
    });
    let serving = builder().serve_connection(TokioIo::new(joined::Joined(stream)), service).into_owned();
    let mut serving = std::pin::pin!(watcher.watch(serving));
    // Before hyper knows the version of HTTP it has no timeout of its own.
    let mut silence = Some(Box::pin(tokio::time::sleep(HEAD_TIMEOUT)));
    poll_fn(|cx| {
        if let Poll::Ready(served) = serving.as_mut().poll(cx) {
            if let Err(error) = served {
                tracing::debug!("a connection ended early: {error}");
            }
            return Poll::Ready(());
        }
        if asked.load(Relaxed) {
            silence = None;
        }
        if silence.as_mut().is_some_and(|silence| silence.as_mut().poll(cx).is_ready()) {
            tracing::debug!("a connection without a request was closed");
            return Poll::Ready(());
        }
        Poll::Pending
    })
    .await;
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .max_concurrent_streams(200)
        .max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    builder
}

#[cfg(test)]
mod tests;
