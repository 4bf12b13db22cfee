//! A program on a disk whose `fdatasync` takes longer: the kernel asks a process of its own before each, which waits. For
//! what is promised of disks that are slower than that of this machine.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::io::FdFlags;
use rustix::process::{Signal, set_parent_process_death_signal};
use rustix::thread::{Timespec, nanosleep};
use tollgate_cli::trouble::{Result, Trouble};

use super::{failed, progress};

pub(crate) const SELF_AS_SLOW_DISK: &str = "slow-disk";
pub(crate) const SELF_AS_ITS_CLOCK: &str = "slow-disk-clock";
/// What each `fdatasync` takes more.
const MORE: Timespec = Timespec { tv_sec: 0, tv_nsec: 850_000 };
/// Linux's `SECCOMP_IOCTL_NOTIF_RECV` and `SECCOMP_IOCTL_NOTIF_SEND`; in libc they are only macros.
const RECEIVE: libc::Ioctl = 0xc050_2100_u32 as libc::Ioctl;
const SEND: libc::Ioctl = 0xc018_2101_u32 as libc::Ioctl;
/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`, in the size that it is sent in.
const CONTINUE: u32 = 1;

/// A disk does not wait for a processor. Where its clock does, on a busy machine, each `fdatasync` takes half a millisecond more.
pub(crate) fn told_if_late() {
    if !rustix::process::geteuid().is_root() {
        progress(
            "not started by root: a slow disk has no priority, and takes half a millisecond more than its name says",
        );
    }
}

/// Becomes the program. Returns only if that fails.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<()> {
    let asked = filtered().map_err(|error| failed("cannot set the filter", error))?;
    let own = std::env::current_exe().map_err(|error| failed("cannot find this program", error))?;
    let inherited = |flags| rustix::io::fcntl_setfd(&asked, flags).map_err(|error| failed("cannot share it", error));
    inherited(FdFlags::empty())?;
    let clock = Command::new(own).args([SELF_AS_ITS_CLOCK, &asked.as_raw_fd().to_string()]).spawn();
    clock.map_err(|error| failed("cannot start its clock", error))?;
    inherited(FdFlags::CLOEXEC)?;
    let error = Command::new(program).args(arguments).exec();
    Err(Trouble::new(format!("cannot start {program}: {error}"), "", ""))
}

/// From now on the kernel asks at what is returned before each `fdatasync`.
#[expect(unsafe_code, reason = "no library has this kind of filter")]
fn filtered() -> std::io::Result<OwnedFd> {
    let instruction = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let number = u32::try_from(libc::SYS_fdatasync).unwrap_or_default();
    let mut filter = [
        // The number of the call; the next but one if it is another; ask; allow.
        instruction(0x20, 0, 0, 0),
        instruction(0x15, 0, 1, number),
        instruction(0x06, 0, 0, libc::SECCOMP_RET_USER_NOTIF),
        instruction(0x06, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: 4, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel copies the filter, which lives until then, and gives back a descriptor that nobody else has.
    unsafe {
        if libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER);
        match i32::try_from(libc::syscall(libc::SYS_seccomp, mode, flags, &program)) {
            Ok(descriptor) if descriptor >= 0 => Ok(OwnedFd::from_raw_fd(descriptor)),
            _ => Err(std::io::Error::last_os_error()),
        }
    }
}

/// Lets each `fdatasync` wait, until the program ends.
#[expect(unsafe_code, reason = "no library has this kind of filter")]
pub(crate) fn clock(descriptor: &str) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| failed("cannot end with it", error))?;
    let descriptor: i32 = descriptor.parse().map_err(|error| failed("not a descriptor", error))?;
    let first = libc::sched_param { sched_priority: 1 };
    // SAFETY: the kernel reads the parameter. Who may not have it was told by `told_if_late`.
    let _late = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &first) };
    loop {
        // SAFETY: both are numbers only, for which zero is a value; the kernel wants the first to be zero.
        let (mut asked, mut answer) =
            unsafe { (std::mem::zeroed::<libc::seccomp_notif>(), std::mem::zeroed::<libc::seccomp_notif_resp>()) };
        // SAFETY: the kernel writes what it is as large as.
        if unsafe { libc::ioctl(descriptor, RECEIVE, &mut asked) } != 0 {
            let error = std::io::Error::last_os_error();
            match error.raw_os_error() {
                // A signal, or who asked is gone.
                Some(libc::EINTR | libc::ENOENT) => continue,
                _ => return Err(failed("cannot be asked", error)),
            }
        }
        let _woken_early = nanosleep(&MORE);
        answer.id = asked.id;
        answer.flags = CONTINUE;
        // SAFETY: as above. An error: the program is gone, and so is this soon.
        let _gone = unsafe { libc::ioctl(descriptor, SEND, &mut answer) };
    }
}
