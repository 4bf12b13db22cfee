//! The two seccomp filters of the process, as programs for the kernel.
//!
//! The kernel runs both for each call, and the stricter answer counts.

use std::collections::BTreeMap;

use libc::{c_int, c_long};
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter};
use seccompiler::{SeccompRule, TargetArch};

use super::calls::{HOSTILE, NEEDED};

/// Calls by number, each with the rules of which one must hold; none: whatever the arguments.
type Rules = BTreeMap<c_long, Vec<SeccompRule>>;
type Result<T> = std::result::Result<T, seccompiler::BackendError>;

/// `ioctl` that scans the pages of this process: how wasmtime resets the memory of a guest. In libc it is only a macro.
const PAGEMAP_SCAN: u64 = 0xc060_6610;
/// `prctl` that names memory for who looks at the process; the C library does it.
const PR_SET_VMA: u64 = 0x5356_4d41;
/// What `socket` has in its type besides the kind.
const SOCKET_KIND: u64 = 0xf;

/// Ends the process at a call that only an attacker makes.
pub(super) fn hostile() -> Result<BpfProgram> {
    let rules = HOSTILE.iter().map(|call| (*call, Vec::new())).collect();
    compile(rules, SeccompAction::Allow, SeccompAction::KillProcess)
}

/// Answers a call that the host does not need as a kernel that does not have it, so that a newer C library takes the way
/// it takes on an older kernel.
pub(super) fn needed() -> Result<BpfProgram> {
    let mut rules: Rules = NEEDED.iter().copied().flatten().map(|call| (*call, Vec::new())).collect();
    rules.extend(conditional()?);
    compile(rules, SeccompAction::Errno(libc::ENOSYS.unsigned_abs()), SeccompAction::Allow)
}

fn compile(rules: Rules, otherwise: SeccompAction, listed: SeccompAction) -> Result<BpfProgram> {
    let here = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, listed, here)?.try_into()
}

/// Calls that are needed with some arguments only.
fn conditional() -> Result<Rules> {
    let threads = libc::CLONE_VM | libc::CLONE_THREAD;
    let own = u64::from(std::process::id());
    Ok(BTreeMap::from([
        // Never writable and executable at once.
        (libc::SYS_mmap, vec![has_not(2, libc::PROT_EXEC)?, has_not(2, libc::PROT_WRITE)?]),
        (libc::SYS_mprotect, vec![has_not(2, libc::PROT_EXEC)?, has_not(2, libc::PROT_WRITE)?]),
        // Threads, and no processes. `clone3` hides its flags in memory, so it is not there at all.
        (libc::SYS_clone, vec![rule(&[(0, Qword, MaskedEq(bits(threads)), bits(threads))])?]),
        // A limit is read, none is set.
        (libc::SYS_prlimit64, vec![rule(&[(0, Dword, Eq, 0), (2, Qword, Eq, 0)])?]),
        // Signals to this process only: how `abort` ends it.
        (libc::SYS_tgkill, vec![rule(&[(0, Dword, Eq, own)])?]),
        (libc::SYS_prctl, one_of(0, &[bits(libc::PR_SET_NAME), bits(libc::PR_GET_NAME), PR_SET_VMA])?),
        (libc::SYS_ioctl, one_of(1, &[libc::FIONBIO, libc::FIOCLEX, libc::TCGETS, libc::TIOCGWINSZ, PAGEMAP_SCAN])?),
        // TCP and UDP. No packets, no kernel interfaces, no sockets of other programs on this machine.
        (libc::SYS_socket, internet()?),
        (libc::SYS_socketpair, vec![rule(&[(0, Dword, Eq, bits(libc::AF_UNIX))])?]),
    ]))
}

fn internet() -> Result<Vec<SeccompRule>> {
    let mut rules = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            rules.push(rule(&[(0, Dword, Eq, bits(family)), (1, Dword, MaskedEq(SOCKET_KIND), bits(kind))])?);
        }
    }
    Ok(rules)
}

fn has_not(argument: u8, flag: c_int) -> Result<SeccompRule> {
    rule(&[(argument, Qword, MaskedEq(bits(flag)), 0)])
}

fn one_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>> {
    values.iter().map(|value| rule(&[(argument, Dword, Eq, *value)])).collect()
}

/// All of the conditions hold.
fn rule(conditions: &[(u8, SeccompCmpArgLen, SeccompCmpOp, u64)]) -> Result<SeccompRule> {
    let conditions = conditions.iter().cloned();
    let conditions =
        conditions.map(|(argument, length, compare, value)| SeccompCondition::new(argument, length, compare, value));
    SeccompRule::new(conditions.collect::<Result<_>>()?)
}

/// A constant of the kernel's, all of which are positive.
fn bits(constant: c_int) -> u64 {
    u64::from(constant.unsigned_abs())
}
