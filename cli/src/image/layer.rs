//! The one layer: the program, and the folder that the ledger is mounted over.

use tar::{Builder, EntryType, Header};

/// The user that the program runs as: nobody's, by the custom of images without users.
pub(super) const USER: u64 = 65532;
/// The program in the image.
pub(super) const PROGRAM: &str = "tollgate-host";
/// Where a volume is mounted for the ledger.
pub(super) const LEDGER: &str = "var/lib/tollgate";

/// The layer as an uncompressed archive.
pub(super) fn layer(program: &[u8]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    // A volume that is mounted there for the first time gets owner and rights of this folder.
    for (folder, owner, mode) in [("var", 0, 0o755), ("var/lib", 0, 0o755), (LEDGER, USER, 0o700)] {
        append(&mut archive, &format!("{folder}/"), EntryType::Directory, owner, mode, &[]);
    }
    append(&mut archive, PROGRAM, EntryType::Regular, 0, 0o555, program);
    finish(archive)
}

/// A file or folder without a time and without names of users.
pub(super) fn append(archive: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, owner: u64, mode: u32, bytes: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mode(mode);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    // Memory takes every byte, and the paths are short ones of ours.
    let _ = archive.append_data(&mut header, path, bytes);
}

/// The bytes of an archive.
pub(super) fn finish(archive: Builder<Vec<u8>>) -> Vec<u8> {
    // Only an archive that is not in memory can fail to end.
    archive.into_inner().unwrap_or_default()
}
