//! A program on a kernel without `PAGEMAP_SCAN`, which came with Linux 6.7: the call is answered as older ones answer it.

use std::collections::BTreeMap;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use tollgate_cli::trouble::{Result, Trouble};

use super::failed;

/// In libc it is only a macro.
const PAGEMAP_SCAN: u64 = 0xc060_6610;

/// Becomes the program. Returns only if that fails.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let filter = filter().map_err(|error| failed("cannot make the filter", error))?;
    seccompiler::apply_filter(&filter).map_err(|error| failed("cannot set the filter", error))?;
    let error = Command::new(program).args(arguments).exec();
    Err(Trouble::new(format!("cannot start {program}: {error}"), "", ""))
}

fn filter() -> std::result::Result<BpfProgram, seccompiler::BackendError> {
    let scan = SeccompCondition::new(1, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, PAGEMAP_SCAN)?;
    let rules = BTreeMap::from([(libc::SYS_ioctl, vec![SeccompRule::new(vec![scan])?])]);
    let here = TargetArch::try_from(std::env::consts::ARCH)?;
    let answer = SeccompAction::Errno(libc::ENOTTY.unsigned_abs());
    SeccompFilter::new(rules, SeccompAction::Allow, answer, here)?.try_into()
}
