//! The processors that code can be compiled for ahead of time.

use std::fmt;

/// A processor, as old as the vendor still supports: code for it runs on every newer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cpu {
    /// `x86-64-v2`: SSE4.2 and POPCNT. Every x86 processor that AWS has.
    X86V2,
    /// `x86-64-v3`: AVX2, BMI and FMA as well. Intel from Haswell, AMD from EPYC.
    X86V3,
    /// `armv8-a`: Graviton from the first on.
    Arm8,
}

impl Cpu {
    /// Every one, oldest first within an architecture.
    pub const ALL: [Self; 3] = [Self::X86V2, Self::X86V3, Self::Arm8];

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86V2 => "x86-64-v2",
            Self::X86V3 => "x86-64-v3",
            Self::Arm8 => "armv8-a",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cpu| cpu.name() == name)
    }

    /// The target of the host and of the compiler.
    pub fn triple(self) -> &'static str {
        match self {
            Self::X86V2 | Self::X86V3 => "x86_64-unknown-linux-gnu",
            Self::Arm8 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The architecture as images name it.
    pub fn architecture(self) -> &'static str {
        match self {
            Self::X86V2 | Self::X86V3 => "amd64",
            Self::Arm8 => "arm64",
        }
    }

    /// What code for it needs and the processor of this machine does not have. Empty: it runs here.
    pub fn missing_here(self) -> Vec<&'static str> {
        let needs = match self {
            Self::X86V2 => x86(2),
            Self::X86V3 => x86(3),
            Self::Arm8 if cfg!(target_arch = "aarch64") => Vec::new(),
            Self::Arm8 => vec![("an ARM processor", false)],
        };
        needs.into_iter().filter(|(_, has)| !has).map(|(name, _)| name).collect()
    }

    /// The names of the compiler for it.
    #[cfg(any(test, feature = "compiler"))]
    pub(crate) fn preset(self) -> Option<&'static str> {
        match self {
            Self::X86V2 => Some("x86-64-v2"),
            Self::X86V3 => Some("x86-64-v3"),
            Self::Arm8 => None,
        }
    }
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The features of a level that the compiler makes use of, and whether they are here.
#[cfg(target_arch = "x86_64")]
fn x86(level: u32) -> Vec<(&'static str, bool)> {
    macro_rules! here {
        ($($name:tt)*) => { vec![$(($name, std::is_x86_feature_detected!($name))),*] };
    }
    let mut features = here!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "cmpxchg16b");
    if level >= 3 {
        features.extend(here!("avx" "avx2" "bmi1" "bmi2" "fma" "lzcnt"));
    }
    features
}

#[cfg(not(target_arch = "x86_64"))]
fn x86(_: u32) -> Vec<(&'static str, bool)> {
    vec![("an x86 processor", false)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again() {
        assert!(Cpu::ALL.iter().all(|cpu| Cpu::named(cpu.name()) == Some(*cpu)));
        assert_eq!(Cpu::named("x86-64-v9"), None);
    }

    #[test]
    fn another_architecture_does_not_run_here() {
        let foreign = if cfg!(target_arch = "x86_64") { Cpu::Arm8 } else { Cpu::X86V2 };
        assert_eq!(foreign.missing_here().len(), 1);
    }
}
