//! Machine code that was compiled ahead of time: mapped from the file that holds it, and made executable in place.

use std::fs::File;
use std::ptr::NonNull;

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mmap, mprotect};
use wasmtime::component::Component;
use wasmtime::{CustomCodeMemory, Engine};

/// What a mapping and each piece of code in it is aligned to: the largest page size of the processors we know.
pub const ALIGNMENT: usize = 64 << 10;
/// The smallest page size of the processors we know: what the kernel asks of `mprotect`.
const PAGE: usize = 4 << 10;

/// The code of one component. It is loaded once: two components would take the rights of the same pages from each other.
#[derive(Debug)]
pub struct Code {
    bytes: &'static [u8],
}

impl Code {
    /// Takes bytes for code.
    ///
    /// # Safety
    /// Such bytes run with all rights of this process, so they must be what [`crate::compile`] made, unchanged: the caller
    /// has verified the signature of somebody it trusts over these very bytes, or made them itself. They must stay as
    /// they are for the life of the process.
    #[expect(unsafe_code, reason = "nothing but the caller's word says that the bytes are code")]
    pub unsafe fn trusted(bytes: &'static [u8]) -> Self {
        Self { bytes }
    }

    /// The component, with its code where it is.
    #[expect(unsafe_code, reason = "the bytes become machine code")]
    pub(crate) fn component(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: whoever made this value has promised that the bytes are code of our compiler and stay as they are.
        unsafe { Component::deserialize_raw(engine, NonNull::from(self.bytes)) }
    }
}

/// Maps a part of a file, privately and read-only, for the life of the process. `offset` is a multiple of
/// [`ALIGNMENT`].
///
/// # Errors
/// The kernel's.
#[expect(unsafe_code, reason = "mapping a file is a system call with pointers")]
pub fn map(file: &File, offset: u64, length: usize) -> std::io::Result<&'static [u8]> {
    if length == 0 {
        return Ok(&[]);
    }
    // SAFETY: the kernel chooses the place, so nothing that is mapped already is touched.
    let place = unsafe { mmap(std::ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, file, offset)? };
    // SAFETY: `length` readable bytes begin at `place`, and nothing ever unmaps them. The file is the executable of a
    // running process, which the kernel lets nobody write to, or one that a developer packed; who changes pages of it
    // all the same has the rights to change this process directly.
    Ok(unsafe { std::slice::from_raw_parts(place.cast::<u8>(), length) })
}

/// Gives the memory of a mapping back to the kernel, which reads it again when it is touched: what was only looked at
/// once need not stay.
#[expect(unsafe_code, reason = "advice about memory is a system call with pointers")]
pub fn forget(mapped: &'static [u8]) {
    // SAFETY: these pages are a private mapping of a file that nobody has written to, so what comes back is the same.
    // That it is not done is no fault: advice may be ignored.
    let _ = unsafe { madvise(mapped.as_ptr().cast_mut().cast(), mapped.len(), Advice::LinuxDontNeed) };
}

/// Makes code executable where it is, also in mappings that wasmtime does not own.
pub(crate) struct Pages;

impl CustomCodeMemory for Pages {
    fn required_alignment(&self) -> usize {
        PAGE
    }

    #[expect(unsafe_code, reason = "changing the rights of pages is a system call with pointers")]
    fn publish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        // SAFETY: wasmtime hands over whole pages of the code of one component, which is complete. They are never
        // writable and executable at the same time.
        unsafe { mprotect(start.cast_mut().cast(), length, MprotectFlags::READ | MprotectFlags::EXEC)? };
        Ok(())
    }

    #[expect(unsafe_code, reason = "changing the rights of pages is a system call with pointers")]
    fn unpublish_executable(&self, start: *const u8, length: usize) -> wasmtime::Result<()> {
        // SAFETY: the same pages as above, of which no code runs any more.
        unsafe { mprotect(start.cast_mut().cast(), length, MprotectFlags::READ)? };
        Ok(())
    }
}
