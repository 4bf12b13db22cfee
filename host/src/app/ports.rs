//! The two listeners. Bound first, so that a port in use is told before AWS is asked; the product's listens only once
//! there is something to answer with, so that a load balancer gets a refused connection and not a silent one.

use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Socket, Type};

use crate::config::Config;
use crate::exit::{Exit, Why};

/// As many as the kernel lets wait by default.
const BACKLOG: i32 = 1024;

/// Both ports, taken.
#[derive(Debug)]
pub(super) struct Ports {
    /// Listens already: health answers from the first moment on.
    pub(super) admin: TcpListener,
    product: Socket,
}

impl Ports {
    pub(super) fn bind(config: &Config) -> Result<Self, Exit> {
        let admin = bound("TOLLGATE_ADMIN", config.admin)?;
        let product = bound("TOLLGATE_LISTEN", config.listen)?;
        let refused = |error| refused("TOLLGATE_ADMIN", config.admin, &error);
        Ok(Self { admin: listening(admin).map_err(refused)?, product })
    }

    /// Lets connections to the product in.
    pub(super) fn open(self) -> Result<TcpListener, Exit> {
        listening(self.product).map_err(|error| Exit::internal(&anyhow::Error::new(error).context("cannot listen")))
    }
}

fn bound(variable: &str, address: SocketAddr) -> Result<Socket, Exit> {
    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec().nonblocking(), None)?;
        // A restarted container finds its port still in TIME_WAIT.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        Ok(socket)
    };
    bind().map_err(|error| refused(variable, address, &error))
}

fn listening(socket: Socket) -> std::io::Result<TcpListener> {
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn refused(variable: &str, address: SocketAddr, error: &std::io::Error) -> Exit {
    let (cause, next) = match error.kind() {
        std::io::ErrorKind::AddrInUse => (
            "another process of this task or pod listens there; all containers of a task or pod share their ports",
            format!("set {variable} to a free port"),
        ),
        std::io::ErrorKind::PermissionDenied => (
            "ports below 1024 are not for a user without privileges",
            format!("set {variable} to a port from 1024 up, and map it in the task or service definition"),
        ),
        _ => ("the address is not one of this machine", format!("set {variable} to an address of this task or pod")),
    };
    Exit::new(Why::Configuration, format!("{variable}: cannot listen on {address}: {error}"), cause, next)
}
