//! The emulator inside this process: for `emulator`, `dev`, `demo` and tests.

use std::net::SocketAddr;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tollgate_emulator::{BindError, Emulator, Options, WireClock};

use crate::control::Control;
use crate::trouble::{Result, Trouble, reasons};

/// A running emulator. Dropping it stops it.
#[derive(Debug)]
pub struct Service {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its control interface.
    pub control: Control,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Service {
    /// Starts an emulator on `address`; port 0 takes a free one. Its clients live by its clock, as lab hosts do.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn start(address: SocketAddr) -> Result<Self> {
        Self::with(address, Options { wire_clock: WireClock::Emulator, ..Options::default() }).await
    }

    /// Starts an emulator that behaves as `options` say.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn with(address: SocketAddr, options: Options) -> Result<Self> {
        let emulator = Emulator::bind(address, options).map_err(|error| cannot_start(address, &error))?;
        let address = emulator.addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let shutdown = async {
                // Told to stop, or dropped: both mean stop.
                let _ = stopped.await;
            };
            emulator.serve(shutdown).await
        });
        Ok(Self { address, control: Control::new(format!("http://{address}")), stop: Some(stop), task })
    }

    /// Waits until it ends by itself, because it cannot go on.
    pub async fn failed(&mut self) -> Trouble {
        let why = match (&mut self.task).await {
            Ok(Err(error)) => reasons(&error),
            Ok(Ok(())) => "it was stopped".to_owned(),
            Err(error) => error.to_string(),
        };
        let next = "make room on the disk; what was acknowledged is in the file";
        Trouble::new(format!("the emulator has ended: {why}"), "", next)
    }

    /// Stops it in order.
    pub async fn stop(mut self) {
        self.stop.take();
        let _ = (&mut self.task).await;
    }
}

fn cannot_start(address: SocketAddr, error: &BindError) -> Trouble {
    match error {
        BindError::Listen(_) => Trouble::new(
            format!("the emulator cannot listen on {address}: {}", reasons(error)),
            "another program, perhaps another emulator, has the port",
            "give another one with --listen; port 0 takes any that is free",
        ),
        BindError::State(_) => Trouble::new(
            format!("the emulator cannot start: {}", reasons(error)),
            "",
            "stop the emulator that uses the file, or name another one with --state",
        ),
        BindError::Key(_) => Trouble::new(format!("the emulator cannot start: {}", reasons(error)), "", ""),
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.task.abort();
    }
}
