//! What leaves a guest for the network: requests to the origins of its manifest, and nothing else.
//!
//! The credentials of the task are one request to a link-local address away. So a name is looked up once, every address
//! it has is checked (`address`), and a checked one is dialled (`dial`); redirects are the guest's to follow, by a
//! request of its own that is checked anew. Sockets and name lookup need no line here: a `WasiCtx` denies them unless
//! somebody allows them, and nobody does. A refusal is a value for the guest, a line in the log, and a number.
//!
//! Absent on purpose: proxies, HTTP/2, wildcards, private networks, and roots of the machine.

mod address;
mod body;
mod dial;
mod origin;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper_rustls::{DefaultServerNameResolver, HttpsConnector};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

pub use self::origin::{NotAnOrigin, Origin};

use self::body::{Arriving, Leaving};
use self::dial::{Dialler, NotDialled};
use crate::limits::Limits;
use crate::rate::Rate;
use crate::stats::{Stats, bump};

/// For lookup, dialling and TLS together; a guest may ask for less. A server that takes the connection and never ends its
/// handshake would hold the request for as long as an answer may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A guest may ask for less.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(60);
const BETWEEN_BYTES_TIMEOUT: Duration = Duration::from_secs(60);
const IDLE_MAX: usize = 8;
/// Shorter than the time after which servers close idle connections, or requests would meet closed ones.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Of a response head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Lines about refused requests of one component in a second.
const COMPLAINTS_PER_SECOND: u32 = 2;

/// What guests reach the network with: a value, given by whoever composes the host.
#[derive(Clone, Debug)]
pub struct Network {
    tls: Arc<ClientConfig>,
}

/// TLS could not be set up: the roots or the cryptography are unusable.
#[derive(Debug, thiserror::Error)]
#[error("TLS for outgoing requests could not be set up: {0}")]
pub struct NoTls(rustls::Error);

impl Network {
    /// Trusts these roots and no others.
    ///
    /// # Errors
    ///
    /// [`NoTls`], a fault of the build.
    pub fn new(roots: RootCertStore) -> Result<Self, NoTls> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(NoTls)?.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { tls: Arc::new(config) })
    }
}

/// The way out of one component, shared by its instances.
#[derive(Debug)]
pub(crate) struct Egress {
    component: String,
    origins: Vec<Origin>,
    client: Client<HttpsConnector<Dialler>, WasiBody>,
    places: Arc<Semaphore>,
    body_bytes: u64,
    stats: Arc<Stats>,
    complaints: Rate,
}

/// Why a request of a guest was not answered.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("it is not in the egress list of the manifest")]
    Origin,
    #[error("{0}")]
    Address(NotDialled),
    #[error("as many requests of the component as egress_requests allows are on their way")]
    Full,
    #[error("{0}")]
    Failed(String, Error),
}

impl Egress {
    pub(crate) fn new(
        component: String,
        origins: Vec<Origin>,
        network: &Network,
        limits: &Limits,
        stats: Arc<Stats>,
    ) -> Self {
        let names = Arc::new(DefaultServerNameResolver::default());
        let connector = HttpsConnector::new(Dialler, network.tls.clone(), false, names);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(IDLE_MAX)
            .http1_max_buf_size(HEAD_BYTES_MAX)
            .build(connector);
        let places = usize::try_from(limits.egress_requests).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            component,
            origins,
            client,
            places: Arc::new(Semaphore::new(places)),
            body_bytes: u64::from(limits.egress_body_mib) << 20,
            stats,
            complaints: Rate::new(COMPLAINTS_PER_SECOND, usize::MAX),
        }
    }

    async fn send(&self, request: Request<WasiBody>, options: RequestOptions) -> Result<Response<WasiBody>, Error> {
        // Of all that a guest may have written, only the origin is repeated in the log.
        let origin = Origin::of(request.uri());
        let refused = match self.exchange(request, options, origin.as_ref()).await {
            Ok(response) => return Ok(response),
            Err(refused) => refused,
        };
        let told = self.complaints.admit(0);
        if told.admitted {
            let to = origin.map_or_else(|| "a place that is no origin".to_owned(), |origin| origin.to_string());
            let component = self.component.as_str();
            tracing::warn!(component, to, why = %refused, untold = told.dropped, "an outgoing request was not answered");
        }
        let (counter, code) = match refused {
            Refused::Origin => (&self.stats.egress_refused_origin, Error::HttpRequestDenied),
            Refused::Address(_) => (&self.stats.egress_refused_address, Error::DestinationIpProhibited),
            Refused::Full => (&self.stats.egress_refused_full, Error::ConnectionLimitReached),
            Refused::Failed(_, code) => (&self.stats.egress_failed, code),
        };
        bump(counter);
        Err(code)
    }

    async fn exchange(
        &self,
        request: Request<WasiBody>,
        options: RequestOptions,
        origin: Option<&Origin>,
    ) -> Result<Response<WasiBody>, Refused> {
        if !origin.is_some_and(|origin| self.origins.contains(origin)) {
            return Err(Refused::Origin);
        }
        if request.method() == Method::CONNECT {
            return Err(failed("CONNECT asks for a tunnel", Error::HttpRequestMethodInvalid));
        }
        let permit = self.places.clone().try_acquire_owned().map_err(|_| Refused::Full)?;
        bump(&self.stats.egress_requests);
        let mut request = request.map(|body| Leaving { body, room: self.body_bytes }.boxed_unsync());
        let connection = capture_connection(&mut request);
        let connects_within = options.connect_timeout.unwrap_or(CONNECT_TIMEOUT).min(CONNECT_TIMEOUT);
        let patience = options.first_byte_timeout.unwrap_or(FIRST_BYTE_TIMEOUT).min(FIRST_BYTE_TIMEOUT);
        tokio::select! {
            biased;
            answer = tokio::time::timeout(patience, self.client.request(request)) => match answer {
                Err(_) => Err(failed("no answer in time", Error::ConnectionReadTimeout)),
                Ok(Err(error)) => Err(why(&error)),
                Ok(Ok(response)) => Ok(self.arriving(response, options, permit)),
            },
            () = missed(connection, connects_within) => {
                Err(failed("no connection in time, TLS included", Error::ConnectionTimeout))
            }
        }
    }

    fn arriving(
        &self,
        response: Response<hyper::body::Incoming>,
        options: RequestOptions,
        permit: OwnedSemaphorePermit,
    ) -> Response<WasiBody> {
        let pause = options.between_bytes_timeout.unwrap_or(BETWEEN_BYTES_TIMEOUT).min(BETWEEN_BYTES_TIMEOUT);
        response.map(|body| Arriving::new(body, self.body_bytes, pause, permit).boxed_unsync())
    }
}

/// Ends when there was no connection in time, and never if there was one, new or pooled. If there is none at all, the
/// request itself says so.
async fn missed(mut connection: CaptureConnection, within: Duration) {
    let connected = async { drop(connection.wait_for_connection_metadata().await) };
    if tokio::time::timeout(within, connected).await.is_ok() {
        std::future::pending().await
    }
}

fn failed(why: &str, code: Error) -> Refused {
    Refused::Failed(why.to_owned(), code)
}

/// Sorts an error of the client by what the guest can make of it.
fn why(error: &ClientError) -> Refused {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    let mut words = error.to_string();
    while let Some(cause) = next {
        words = cause.to_string();
        if let Some(not_dialled) = cause.downcast_ref::<NotDialled>() {
            return of_dial(not_dialled);
        }
        if let Some(too_large) = cause.downcast_ref::<Error>().filter(|e| matches!(e, Error::HttpRequestBodySize(_))) {
            return failed(&too_large.to_string(), Error::HttpRequestBodySize(None));
        }
        // The source of an error that was wrapped into an io::Error is not its own source.
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(tls) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            let certificate = matches!(tls, rustls::Error::InvalidCertificate(_));
            let code = if certificate { Error::TlsCertificateError } else { Error::TlsProtocolError };
            return Refused::Failed(tls.to_string(), code);
        }
        next = cause.source();
    }
    let code = if error.is_connect() { Error::ConnectionRefused } else { Error::ConnectionTerminated };
    Refused::Failed(words, code)
}

fn of_dial(error: &NotDialled) -> Refused {
    let code = match error {
        NotDialled::Forbidden { ip, why } => {
            return Refused::Address(NotDialled::Forbidden { ip: *ip, why: *why });
        }
        NotDialled::NoOrigin => Error::HttpRequestUriInvalid,
        NotDialled::Lookup(_) => Error::DnsError { rcode: None, info_code: None },
        NotDialled::LookupTimeout => Error::DnsTimeout,
        NotDialled::NoAddress => Error::DestinationNotFound,
        NotDialled::Connect(_) => Error::ConnectionRefused,
        NotDialled::ConnectTimeout => Error::ConnectionTimeout,
    };
    Refused::Failed(error.to_string(), code)
}

/// What one instance sends by.
#[derive(Debug)]
pub(crate) struct Hooks(pub(crate) Arc<Egress>);

type Sent = Result<(Response<WasiBody>, Done), Error>;
type Done = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for Hooks {
    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _: Done,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let egress = self.0.clone();
        Box::new(async move {
            let response = egress.send(request, options.unwrap_or_default()).await?;
            Ok((response, Box::new(async { Ok(()) }) as Done))
        })
    }
}
