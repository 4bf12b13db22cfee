//! What one guest instance and one server may use. Reaching a limit is an error that somebody sees.

use std::time::Duration;

use wasmtime::ResourceLimiter;

/// Bytes that one call of a guest may hand to the host (strings, lists), against guests that make the host allocate.
pub(crate) const HOSTCALL_BYTES_MAX: usize = 8 << 20;
/// Resource handles that a guest may hold, of all kinds together.
pub(crate) const HANDLES_MAX: usize = 10_000;
/// Bytes of random data in one call.
pub(crate) const RANDOM_BYTES_MAX: u64 = 64 << 10;
/// Bytes of one set of header fields, with the bookkeeping of the host.
pub(crate) const FIELDS_BYTES_MAX: usize = 128 << 10;
/// Elements in all tables of an instance together.
pub(crate) const TABLE_ELEMENTS_MAX: usize = 400_000;
/// Core instances, memories and tables of one component instance. Python with native wheels is the largest known user.
pub(crate) const CORE_INSTANCES_MAX: u32 = 256;
pub(crate) const MEMORIES_MAX: u32 = 4;
pub(crate) const TABLES_MAX: u32 = 64;

/// Limits that a product may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Memory of one guest instance in MiB, all of its linear memories together.
    pub memory_mib: u32,
    /// From the arrival of a request until its guest has to be finished, body included.
    pub request_timeout: Duration,
    /// Requests in guests at the same time; one more is answered with 503.
    pub concurrency: u32,
    /// The largest request body in MiB; a larger one is answered with 413.
    pub body_mib: u32,
    /// Outgoing requests of one component at the same time, answers on their way included; one more is refused.
    pub egress_requests: u32,
    /// The largest body of an outgoing request, and of its answer, in MiB.
    pub egress_body_mib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 256,
            request_timeout: Duration::from_secs(60),
            concurrency: 200,
            body_mib: 16,
            egress_requests: 64,
            egress_body_mib: 64,
        }
    }
}

impl Limits {
    pub(crate) fn memory_bytes(&self) -> usize {
        mib(self.memory_mib)
    }

    pub(crate) fn body_bytes(&self) -> u64 {
        u64::from(self.body_mib) << 20
    }
}

fn mib(count: u32) -> usize {
    usize::try_from(u64::from(count) << 20).unwrap_or(usize::MAX)
}

/// The sum over all memories and tables of one store.
///
/// The limiter of the store is asked before each growth. Wasmtime's own `StoreLimits` compares each memory alone, so
/// that a guest with four memories would get four times the limit.
#[derive(Debug)]
pub(crate) struct Budget {
    memory_bytes: usize,
    memory_bytes_max: usize,
    table_elements: usize,
    /// The last growth that was allowed: it is given back if the growth then fails.
    memory_last: usize,
    table_last: usize,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        let memory_bytes_max = limits.memory_bytes();
        Self { memory_bytes: 0, memory_bytes_max, table_elements: 0, memory_last: 0, table_last: 0 }
    }

    /// Of all memories of the store.
    #[cfg(feature = "p3")]
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.memory_last = 0;
        let growth = desired.saturating_sub(current);
        let fits = self.memory_bytes.checked_add(growth).is_some_and(|sum| sum <= self.memory_bytes_max);
        if fits {
            self.memory_bytes += growth;
            self.memory_last = growth;
        }
        Ok(fits)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory_bytes -= std::mem::take(&mut self.memory_last);
        tracing::debug!("memory of a guest could not grow: {error:#}");
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.table_last = 0;
        let growth = desired.saturating_sub(current);
        let fits = self.table_elements.checked_add(growth).is_some_and(|sum| sum <= TABLE_ELEMENTS_MAX);
        if fits {
            self.table_elements += growth;
            self.table_last = growth;
        }
        Ok(fits)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.table_elements -= std::mem::take(&mut self.table_last);
        tracing::debug!("a table of a guest could not grow: {error:#}");
        Ok(())
    }

    fn instances(&self) -> usize {
        count(CORE_INSTANCES_MAX)
    }

    fn tables(&self) -> usize {
        count(TABLES_MAX)
    }

    fn memories(&self) -> usize {
        count(MEMORIES_MAX)
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memories_share_one_limit_and_failed_growth_is_given_back() {
        let mut budget = Budget::new(&Limits { memory_mib: 1, ..Limits::default() });
        let mut grow = |from: usize, to: usize| budget.memory_growing(from << 10, to << 10, None).unwrap();
        assert!(grow(0, 512));
        assert!(grow(0, 256), "a second memory");
        assert!(!grow(512, 1024), "each alone would fit");
        assert!(grow(512, 768));
        assert!(!grow(256, 257));
        budget.memory_grow_failed(wasmtime::format_err!("no memory left")).unwrap();
        assert!(!budget.memory_growing(256 << 10, 257 << 10, None).unwrap(), "the refused growth was not counted");
        assert!(budget.memory_growing(0, 0, None).unwrap());
    }

    #[test]
    fn tables_share_one_limit() {
        let mut budget = Budget::new(&Limits::default());
        assert!(budget.table_growing(0, TABLE_ELEMENTS_MAX, None).unwrap());
        assert!(!budget.table_growing(0, 1, None).unwrap());
        budget.table_grow_failed(wasmtime::format_err!("refused")).unwrap();
        assert!(!budget.table_growing(0, 1, None).unwrap());
    }
}
