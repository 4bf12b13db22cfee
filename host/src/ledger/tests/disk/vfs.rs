//! SQLite's way to that disk. One connection at a time, so locks always succeed; no shared memory, as on NFS.
#![expect(unsafe_code, reason = "SQLite calls a file system through pointers; only tests register this one")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Once;

use rusqlite::ffi::{self, sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs};

use super::{Failure, on};

/// The name under which connections ask for it.
pub(in crate::ledger::tests) const NAME: &CStr = c"tollgate-test";
const PATH_MAX: c_int = 512;
const SECTOR: c_int = 4_096;

/// What SQLite keeps for an open file: its own part first.
#[repr(C)]
struct Open {
    base: sqlite3_file,
    path: *mut String,
}

static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 1,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(lock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(control),
    xSectorSize: Some(sector),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: None,
    xShmLock: None,
    xShmBarrier: None,
    xShmUnmap: None,
    xFetch: None,
    xUnfetch: None,
};

/// Makes the file system known, once in a process.
pub(super) fn register() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: called without arguments; the system's own file system is always there and lives for ever.
        let system = unsafe { &*ffi::sqlite3_vfs_find(std::ptr::null()) };
        let vfs = Box::leak(Box::new(sqlite3_vfs {
            iVersion: 2,
            szOsFile: c_int::try_from(size_of::<Open>()).unwrap(),
            mxPathname: PATH_MAX,
            pNext: std::ptr::null_mut(),
            zName: NAME.as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_path),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
            // Time and randomness are the system's.
            ..*system
        }));
        // SAFETY: `vfs` is leaked, so it is valid for ever, and its functions keep SQLite's contract for each.
        assert_eq!(unsafe { ffi::sqlite3_vfs_register(vfs, 0) }, ffi::SQLITE_OK);
    });
}

fn code(done: Result<(), Failure>) -> c_int {
    match done {
        Ok(()) => ffi::SQLITE_OK,
        Err(Failure::Write) => ffi::SQLITE_IOERR_WRITE,
        Err(Failure::Full) => ffi::SQLITE_FULL,
        Err(Failure::Sync) => ffi::SQLITE_IOERR_FSYNC,
        Err(Failure::Truncate) => ffi::SQLITE_IOERR_TRUNCATE,
    }
}

/// The path of an open file.
///
/// # Safety
/// `file` is one that [`open`] has opened and [`close`] has not closed.
unsafe fn path<'a>(file: *mut sqlite3_file) -> &'a str {
    // SAFETY: by the contract above it is an `Open`, whose path is a box that `close` frees.
    unsafe { &*(*file.cast::<Open>()).path }
}

/// # Safety
/// As SQLite calls `xOpen`: `file` has room for an [`Open`], `name` is a C string or null.
unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    // SAFETY: by the contract above. Null asks for a temporary file; a ledger never needs one.
    let name = unsafe { if name.is_null() { c"/none/temporary" } else { CStr::from_ptr(name) } };
    let name = name.to_str().unwrap().to_owned();
    on(&name, |disk| _ = disk.files.entry(name.clone()).or_default());
    let base = sqlite3_file { pMethods: &raw const METHODS };
    // SAFETY: by the contract above.
    unsafe { file.cast::<Open>().write(Open { base, path: Box::into_raw(Box::new(name)) }) };
    if !out.is_null() {
        // SAFETY: not null, so by the contract of `xOpen` it can be written.
        unsafe { *out = flags };
    }
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls `xClose`.
unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes what it has opened, once; the path was made by `Box::into_raw` in `open`.
    drop(unsafe { Box::from_raw((*file.cast::<Open>()).path) });
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls `xDelete`: `name` is a C string.
unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, _: c_int) -> c_int {
    // SAFETY: by the contract above.
    let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap();
    on(name, |disk| disk.files.remove(name).map_or(ffi::SQLITE_IOERR_DELETE_NOENT, |_| ffi::SQLITE_OK))
}

/// # Safety
/// As SQLite calls `xAccess`: `name` is a C string, `out` can be written.
unsafe extern "C" fn access(_: *mut sqlite3_vfs, name: *const c_char, _: c_int, out: *mut c_int) -> c_int {
    // SAFETY: by the contract above.
    let name = unsafe { CStr::from_ptr(name) }.to_str().unwrap();
    let there = on(name, |disk| disk.files.contains_key(name));
    // SAFETY: by the contract above.
    unsafe { *out = c_int::from(there) };
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls `xFullPathname`: `name` is a C string, `out` has room for `room` bytes.
unsafe extern "C" fn full_path(_: *mut sqlite3_vfs, name: *const c_char, room: c_int, out: *mut c_char) -> c_int {
    // SAFETY: by the contract above.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes_with_nul();
    assert!(name.len() <= usize::try_from(room).unwrap());
    // SAFETY: by the contract above, and the name fits.
    unsafe { out.cast::<u8>().copy_from_nonoverlapping(name.as_ptr(), name.len()) };
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls `xRead`: `to` has room for `length` bytes.
unsafe extern "C" fn read(file: *mut sqlite3_file, to: *mut c_void, length: c_int, at: sqlite3_int64) -> c_int {
    let (length, at) = (usize::try_from(length).unwrap(), usize::try_from(at).unwrap());
    // SAFETY: by the contract above.
    let (path, to) = unsafe { (path(file), std::slice::from_raw_parts_mut(to.cast::<u8>(), length)) };
    on(path, |disk| {
        let held = &disk.files[path].now;
        let held = held.get(at.min(held.len())..).unwrap_or_default();
        let there = held.len().min(length);
        to[..there].copy_from_slice(&held[..there]);
        to[there..].fill(0);
        if there == length { ffi::SQLITE_OK } else { ffi::SQLITE_IOERR_SHORT_READ }
    })
}

/// # Safety
/// As SQLite calls `xWrite`: `from` holds `length` bytes.
unsafe extern "C" fn write(file: *mut sqlite3_file, from: *const c_void, length: c_int, at: sqlite3_int64) -> c_int {
    let (length, at) = (usize::try_from(length).unwrap(), usize::try_from(at).unwrap());
    // SAFETY: by the contract above.
    let (path, from) = unsafe { (path(file), std::slice::from_raw_parts(from.cast::<u8>(), length)) };
    code(on(path, |disk| disk.write(path, at, from)))
}

/// # Safety
/// As SQLite calls `xTruncate`.
unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: by the contract above.
    let path = unsafe { path(file) };
    code(on(path, |disk| disk.truncate(path, usize::try_from(length).unwrap())))
}

/// # Safety
/// As SQLite calls `xSync`.
unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: by the contract above.
    let path = unsafe { path(file) };
    code(on(path, |disk| disk.sync(path)))
}

/// # Safety
/// As SQLite calls `xFileSize`: `out` can be written.
unsafe extern "C" fn file_size(file: *mut sqlite3_file, out: *mut sqlite3_int64) -> c_int {
    // SAFETY: by the contract above.
    let path = unsafe { path(file) };
    let size = on(path, |disk| disk.files[path].now.len());
    // SAFETY: by the contract above.
    unsafe { *out = sqlite3_int64::try_from(size).unwrap() };
    ffi::SQLITE_OK
}

unsafe extern "C" fn lock(_: *mut sqlite3_file, _: c_int) -> c_int {
    ffi::SQLITE_OK
}

/// # Safety
/// As SQLite calls `xCheckReservedLock`: `out` can be written.
unsafe extern "C" fn check_reserved(_: *mut sqlite3_file, out: *mut c_int) -> c_int {
    // SAFETY: by the contract above.
    unsafe { *out = 0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn control(_: *mut sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector(_: *mut sqlite3_file) -> c_int {
    SECTOR
}

unsafe extern "C" fn characteristics(_: *mut sqlite3_file) -> c_int {
    // Nothing is promised about the order or the atomicity of writes.
    0
}
