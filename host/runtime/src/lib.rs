//! Runs WebAssembly components: engine, limits, http server, command runner, metering imports.
