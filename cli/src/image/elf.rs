//! As much of ELF as tells where a program starts, and whether it does so without anything else.

/// Program headers of this type name the dynamic linker (`PT_INTERP`).
const INTERP: u32 = 3;

/// Where `e_machine` is, and the machines that a host can be for (`EM_X86_64`, `EM_AARCH64`), as images name them.
const MACHINE: u64 = 0x12;
const MACHINES: [(u64, &str); 2] = [(62, "amd64"), (183, "arm64")];

/// The architecture of a program. None: another one, or no ELF file.
pub(crate) fn architecture(file: &[u8]) -> Option<&'static str> {
    let machine = file.starts_with(b"\x7fELF\x02\x01").then(|| number(file, MACHINE, 2))??;
    MACHINES.iter().find(|(number, _)| *number == machine).map(|(_, name)| *name)
}

/// The dynamic linker a program asks for, if any. None: it is no 64-bit little-endian ELF file.
pub(super) fn interpreter(file: &[u8]) -> Option<Option<String>> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let headers = number(file, 0x20, 8)?;
    let (size, count) = (number(file, 0x36, 2)?, number(file, 0x38, 2)?);
    for index in 0..count {
        let header = headers.checked_add(index.checked_mul(size)?)?;
        if number(file, header, 4)? == u64::from(INTERP) {
            let (start, length) = (number(file, header + 0x08, 8)?, number(file, header + 0x20, 8)?);
            let name = slice(file, start, length)?;
            return Some(Some(String::from_utf8_lossy(name).trim_end_matches('\0').to_owned()));
        }
    }
    Some(None)
}

fn slice(file: &[u8], start: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(start).ok()?;
    file.get(start..start.checked_add(usize::try_from(length).ok()?)?)
}

fn number(file: &[u8], at: u64, bytes: u64) -> Option<u64> {
    Some(slice(file, at, bytes)?.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_has_a_dynamic_linker() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert!(interpreter(&own).unwrap().unwrap().contains("ld-linux"));
        assert_eq!(architecture(&own), Some(if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" }));
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_no_program() {
        let own = std::fs::read("/proc/self/exe").unwrap();
        assert_eq!(interpreter(&own[..0x60]), None);
        assert_eq!(interpreter(b"#!/bin/sh"), None);
        assert_eq!(architecture(b"#!/bin/sh"), None);
        assert_eq!(interpreter(b""), None);
    }
}
