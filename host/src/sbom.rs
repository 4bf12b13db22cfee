//! What this program is made of, in the section that scanners of programs and images look into: `build.rs` writes the
//! list. `tollgate inspect --sbom` shows it.

const LIST: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sbom"));

#[expect(unsafe_code, reason = "a section of its own: its name decides who reads it")]
// SAFETY: nothing else of the program has a section of this name, and nobody executes or changes it.
#[unsafe(link_section = ".dep-v0")]
#[used]
static SECTION: [u8; LIST.len()] = *include_bytes!(concat!(env!("OUT_DIR"), "/sbom"));
