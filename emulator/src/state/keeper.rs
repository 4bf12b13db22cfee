//! What takes changes from the service and its clock to the file, if there is one.

use super::{Change, Journal, StateError, journal::Lost};
use crate::{clock::Clock, service::Service};

/// The file, or none, and which change of the clock is in it.
#[derive(Debug)]
pub(crate) struct Keeper {
    journal: Option<Journal>,
    clock_version: u64,
}

impl Keeper {
    /// Folds the file, if there is one, into the service and its clock.
    pub(crate) fn open(service: &mut Service, clock: &Clock) -> Result<Self, StateError> {
        let path = service.options.state.clone();
        let open = |path: std::path::PathBuf| {
            let journal = Journal::open(&path, |change| {
                if let Some(setting) = service.restore(change)? {
                    clock.restore(setting);
                }
                Ok(())
            });
            // What was restored is in the file.
            service.take_changes();
            journal
        };
        let journal = path.map(open).transpose()?;
        Ok(Self { journal, clock_version: clock.watch().borrow().version })
    }

    /// Hands over what has changed, under the lock of the service, so that lines are in the order of the changes.
    /// The future ends when all of it is on disk, if it is to be kept.
    pub(crate) fn keep(
        &mut self,
        service: &mut Service,
        clock: &Clock,
    ) -> impl Future<Output = Result<(), Lost>> + use<> {
        let mut changes = service.take_changes();
        let setting = *clock.watch().borrow();
        if setting.version != self.clock_version {
            self.clock_version = setting.version;
            changes.push(Change::Clock(setting));
        }
        let ticket = self.journal.as_mut().map(|journal| journal.append(&changes));
        async move {
            match ticket {
                Some(ticket) => ticket.kept().await,
                None => Ok(()),
            }
        }
    }

    /// Ends when the file cannot be written any more.
    pub(crate) fn lost(&self) -> impl Future<Output = Lost> + use<> {
        let lost = self.journal.as_ref().map(Journal::lost);
        async move {
            match lost {
                Some(lost) => lost.await,
                None => std::future::pending().await,
            }
        }
    }

    /// Writes what is left and lets go of the file.
    pub(crate) fn close(&mut self) {
        self.journal = None;
    }
}
