//! The limit: hyper with nothing behind it, one runtime a processor.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tollgate_cli::trouble::Result;

use super::failed;

pub(crate) fn serve(address: &str) -> Result<()> {
    each_core(address, |listener| async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            let _ = stream.set_nodelay(true);
            let service =
                service_fn(async |_| Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"hello\n")))));
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}

/// Runs the same server on each processor, each with a listener and a runtime of its own.
pub(crate) fn each_core<S, F>(address: &str, serve: S) -> Result<()>
where
    S: Fn(TcpListener) -> F + Clone + Send + 'static,
    F: Future<Output = ()>,
{
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads: Vec<_> = (0..cores)
        .map(|_| {
            let (address, serve) = (address.to_owned(), serve.clone());
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async move {
                    serve(TcpListener::from_std(listener(&address)?)?).await;
                    Ok::<(), std::io::Error>(())
                })
            })
        })
        .collect();
    for thread in threads {
        let ended = thread.join().unwrap_or_else(|_| Err(std::io::Error::other("a thread panicked")));
        ended.map_err(|error| failed("cannot serve", error))?;
    }
    Ok(())
}

/// One of several that share an address: the kernel shares out the connections.
fn listener(address: &str) -> std::io::Result<std::net::TcpListener> {
    let address: std::net::SocketAddr = address.parse().map_err(std::io::Error::other)?;
    let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}
