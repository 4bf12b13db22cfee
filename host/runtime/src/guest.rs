//! The state of one guest instance, and the store around it.

use std::sync::Arc;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::egress::{Egress, Hooks};
use crate::limits::{Budget, FIELDS_BYTES_MAX, HANDLES_MAX, HOSTCALL_BYTES_MAX, Limits};
use crate::meter::{Counters, Meter, Window};
use crate::turn;

/// Until it steps aside. Two, so that one that needs less than an epoch is not interrupted by chance.
const EPOCHS: u64 = 2;
/// The same for one that has had its first turn: it begins with an epoch.
const EPOCHS_AGAIN: u64 = 1;

/// What host functions see of the instance that called them.
#[repr(C)]
pub(crate) struct Guest {
    /// Machine code finds it here: the first thing in the data of the store. It points into `counters`.
    window: Window,
    pub(crate) meter: Arc<Meter>,
    pub(crate) counters: Counters,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    egress: Hooks,
    table: ResourceTable,
    pub(crate) budget: Budget,
}

const _: () = assert!(std::mem::offset_of!(Guest, window) == 0);

impl Guest {
    /// A store whose guest yields to others at each epoch and is held to its limits. It has no deadline of its own:
    /// since it yields, whoever polls it can stop polling and drop it.
    pub(crate) fn store(
        engine: &Engine,
        limits: &Limits,
        meter: Arc<Meter>,
        counters: Counters,
        wasi: WasiCtx,
        egress: Arc<Egress>,
    ) -> Store<Self> {
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(FIELDS_BYTES_MAX);
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES_MAX);
        let budget = Budget::new(limits);
        let egress = Hooks(egress);
        let mut store =
            Store::new(engine, Self { window: counters.window(), meter, counters, wasi, http, egress, table, budget });
        store.limiter(|guest| &mut guest.budget);
        store.set_hostcall_fuel(HOSTCALL_BYTES_MAX);
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(EPOCHS);
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(EPOCHS_AGAIN, turn::step_aside())));
        store
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.egress }
    }
}
