//! Compiles components ahead of time. Not in the production host.

use wasmtime::{Config, Engine};

use crate::builtin;
use crate::component::LoadError;
use crate::engine::{self, Wasi};
use crate::target::Cpu;

/// The first bytes of a module and of a component of the binary format.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// The machine code of a component for `cpu`. The same bytes give the same code.
///
/// # Errors
/// The bytes are no component, or the compiler refuses them. Whether the host has what it imports is found out by
/// loading the code.
pub fn compile(cpu: Cpu, bytes: &[u8], id: &str) -> Result<Vec<u8>, LoadError> {
    check_form(bytes, id)?;
    let refused = |error: wasmtime::Error| LoadError::Compile { id: id.to_string(), detail: format!("{error:#}") };
    let (composed, wasi) = builtin::compose(bytes, id)?;
    let engine = Engine::new(&config(cpu, wasi).map_err(refused)?).map_err(refused)?;
    let compiler = builtin::compiler(&engine, &composed).map_err(refused)?;
    compiler.compile_component_serialized().map_err(refused)
}

/// Whether the component is built for WASI 0.3, which only a host with the feature `p3` runs.
///
/// # Errors
/// The bytes are no component.
pub fn is_p3(bytes: &[u8], id: &str) -> Result<bool, LoadError> {
    check_form(bytes, id)?;
    builtin::compose(bytes, id).map(|(_, wasi)| wasi != Wasi::P2)
}

/// The same for WASI 0.2 with each `add` as a call of the host: what the benchmark compares with.
///
/// # Errors
/// As for [`compile`].
pub fn compile_calling(cpu: Cpu, bytes: &[u8], id: &str) -> Result<Vec<u8>, LoadError> {
    check_form(bytes, id)?;
    let refused = |error: wasmtime::Error| LoadError::Compile { id: id.to_string(), detail: format!("{error:#}") };
    let engine = Engine::new(&config(cpu, Wasi::P2).map_err(refused)?).map_err(refused)?;
    engine.precompile_component(bytes).map_err(refused)
}

/// Whether the bytes are a component at all; says what else they are.
pub(crate) fn check_form(bytes: &[u8], id: &str) -> Result<(), LoadError> {
    let id = id.to_string();
    if bytes.starts_with(COMPONENT) {
        return Ok(());
    }
    if bytes.starts_with(MODULE) {
        return Err(LoadError::CoreModule { id });
    }
    let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let start = if bytes.is_empty() { "nothing: it is empty".to_string() } else { start.join(" ") };
    Err(LoadError::NotWasm { id, start })
}

#[expect(unsafe_code, reason = "wasmtime cannot know which of the compiler's settings are sound")]
fn config(cpu: Cpu, wasi: Wasi) -> wasmtime::Result<Config> {
    let mut config = engine::config(None, wasi);
    config.target(cpu.triple())?;
    if let Some(preset) = cpu.preset() {
        // SAFETY: this names the instructions of a processor. The host looks whether it has them, and refuses the code
        // if not, before any of it runs.
        unsafe { config.cranelift_flag_enable(preset) };
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;
    use crate::component::{Component, Run};
    use crate::limits::Limits;
    use crate::testing::{guest, runtime, spec};

    const COMMAND: &str = r#"(module (func (export "wasi:cli/run@0.2.10#run") (result i32) (i32.const 0)))"#;

    #[expect(unsafe_code, reason = "code of a test")]
    fn loaded(cpu: Cpu) -> Result<Component, LoadError> {
        let code = compile(cpu, &guest("command", COMMAND), "api")?;
        // Aligned as in a bundle.
        let file = tempfile(&code);
        let bytes = crate::code::map(&file, 0, code.len()).unwrap();
        // SAFETY: made two lines above.
        let code = unsafe { Code::trusted(bytes) };
        Component::load(&runtime(Limits::default()), code, Run::Command, spec("api", "/"))
    }

    fn tempfile(bytes: &[u8]) -> std::fs::File {
        let memory = rustix::fs::memfd_create("code", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = std::fs::File::from(memory);
        std::io::Write::write_all(&mut file, bytes).unwrap();
        file
    }

    #[test]
    fn code_made_ahead_of_time_is_loaded_for_each_processor_of_this_machine() {
        for cpu in Cpu::ALL.into_iter().filter(|cpu| cpu.missing_here().is_empty()) {
            assert_eq!(loaded(cpu).unwrap().run(), Run::Command, "{cpu}");
        }
    }

    #[test]
    fn the_same_component_gives_the_same_code() {
        let bytes = guest("command", COMMAND);
        let made = || compile(Cpu::X86V2, &bytes, "api").unwrap();
        assert!(made() == made());
    }
}
