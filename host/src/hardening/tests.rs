//! What a filtered process can do, tried in children of this one between fork and exec.

#![expect(unsafe_code, reason = "calls that no library offers, between fork and exec")]

use std::io;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::Command;

use libc::{c_int, c_long};

use super::calls::{HOSTILE, NEEDED};
use super::filter;

/// What became of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Done,
    Failed(c_int),
    /// The process ended by this signal.
    Killed(c_int),
}

/// The kernel's answer to a process without, or with, both filters.
fn check(filtered: bool, call: c_long, arguments: [c_long; 6]) -> Seen {
    let (hostile, needed) = (filter::hostile().unwrap(), filter::needed().unwrap());
    let mut child = Command::new("/bin/true");
    let attempt = move || {
        if filtered {
            seccompiler::apply_filter(&hostile).map_err(|_| io::ErrorKind::Unsupported)?;
            seccompiler::apply_filter(&needed).map_err(|_| io::ErrorKind::Unsupported)?;
        }
        let [a, b, c, d, e, f] = arguments;
        // SAFETY: what the tests ask for points at no memory but address -1, which is never mapped, and this process ends.
        let answer = unsafe { libc::syscall(call, a, b, c, d, e, f) };
        // An error ends the child before exec; number 0 stands for none.
        Err(if answer == -1 { io::Error::last_os_error() } else { io::Error::from_raw_os_error(0) })
    };
    // SAFETY: between fork and exec the child makes system calls and nothing else; all memory was allocated before.
    unsafe { child.pre_exec(attempt) };
    match child.spawn() {
        Err(error) => match error.raw_os_error() {
            Some(0) => Seen::Done,
            Some(number) => Seen::Failed(number),
            None => panic!("a filter was not applied: {error}"),
        },
        Ok(mut child) => Seen::Killed(child.wait().unwrap().signal().unwrap_or_default()),
    }
}

const NOWHERE: [c_long; 6] = [-1; 6];

#[test]
fn a_hostile_call_ends_the_process() {
    for call in HOSTILE {
        assert_eq!(check(true, *call, NOWHERE), Seen::Killed(libc::SIGSYS), "{call}");
        assert_ne!(check(false, *call, NOWHERE), Seen::Killed(libc::SIGSYS), "{call} without a filter");
    }
}

#[test]
fn a_call_that_is_not_needed_is_answered_as_by_a_kernel_without_it() {
    let wx = c_long::from(libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
    let anonymous = c_long::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let own = c_long::from(libc::SIGCHLD);
    let cases: &[(&str, c_long, [c_long; 6])] = &[
        ("packets", libc::SYS_socket, [libc::AF_PACKET.into(), libc::SOCK_DGRAM.into(), 0, 0, 0, 0]),
        ("raw packets", libc::SYS_socket, [libc::AF_INET.into(), libc::SOCK_RAW.into(), 1, 0, 0, 0]),
        ("routes", libc::SYS_socket, [libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), 0, 0, 0, 0]),
        ("other programs", libc::SYS_socket, [libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0, 0, 0, 0]),
        ("memory to write and run", libc::SYS_mmap, [0, 4096, wx, anonymous, -1, 0]),
        ("the same later", libc::SYS_mprotect, [0, 0, wx, 0, 0, 0]),
        ("a process", libc::SYS_clone, [own, 0, 0, 0, 0, 0]),
        ("a process, hidden", libc::SYS_clone3, NOWHERE),
        ("a limit of its own", libc::SYS_prlimit64, [0, 4, -1, 0, 0, 0]),
        ("a limit of another", libc::SYS_prlimit64, [1, 4, 0, 0, 0, 0]),
        ("a signal to another", libc::SYS_tgkill, [1, 1, 0, 0, 0, 0]),
        ("a signal to all", libc::SYS_kill, [-1, 0, 0, 0, 0, 0]),
        ("dumps again", libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), 1, 0, 0, 0, 0]),
        ("keys for a terminal", libc::SYS_ioctl, [0, libc::TIOCSTI.cast_signed(), 0, 0, 0, 0]),
        ("devices", libc::SYS_mknodat, NOWHERE),
        ("what is not there yet", 5_000, NOWHERE),
    ];
    for (name, call, arguments) in cases {
        assert_eq!(check(true, *call, *arguments), Seen::Failed(libc::ENOSYS), "{name}");
    }
}

#[test]
fn what_is_needed_is_left_alone() {
    let anonymous = c_long::from(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let cases: &[(&str, c_long, [c_long; 6])] = &[
        ("TCP", libc::SYS_socket, [libc::AF_INET6.into(), (libc::SOCK_STREAM | libc::SOCK_CLOEXEC).into(), 0, 0, 0, 0]),
        ("UDP, for names", libc::SYS_socket, [libc::AF_INET.into(), libc::SOCK_DGRAM.into(), 0, 0, 0, 0]),
        ("memory", libc::SYS_mmap, [0, 4096, (libc::PROT_READ | libc::PROT_WRITE).into(), anonymous, -1, 0]),
        ("code", libc::SYS_mprotect, [0, 0, (libc::PROT_READ | libc::PROT_EXEC).into(), 0, 0, 0]),
        (
            "its name",
            libc::SYS_prctl,
            [libc::PR_SET_NAME.into(), c"test".as_ptr().addr().cast_signed() as c_long, 0, 0, 0, 0],
        ),
        ("its number", libc::SYS_getpid, [0; 6]),
    ];
    for (name, call, arguments) in cases {
        assert_eq!(check(true, *call, *arguments), Seen::Done, "{name}");
    }
    // Not all arguments can be good ones here; what matters is that the kernel looked at them.
    let ended = [libc::SYS_exit, libc::SYS_exit_group, libc::SYS_rt_sigreturn];
    for call in NEEDED.iter().copied().flatten().filter(|call| !ended.contains(call)) {
        assert_eq!(check(true, *call, NOWHERE), check(false, *call, NOWHERE), "{call}");
    }
}
