//! The vendor's tool. What each command does is in the library, so that tests run the same code.

use std::process::ExitCode;

use clap::Parser as _;
use tollgate_cli::arguments::{Arguments, Command};
use tollgate_cli::trouble::Result;
use tollgate_cli::{
    assertions, completions, demo, dev, doctor, emulator, image, inspect, keygen, lab_host, listen, pack, trigger,
    verify, words,
};

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        // The host prints its own end and has its own exit codes.
        Command::LabHost(arguments) => return lab_host::run(&arguments),
        Command::Completions { shell } => {
            completions::run(shell);
            Ok(())
        }
        Command::Demo(arguments) => run(demo::run(arguments)),
        Command::Dev(arguments) => run(dev::run(arguments)),
        Command::Emulator(arguments) => run(emulator::run(arguments)),
        Command::Trigger(arguments) => run(trigger::run(arguments)),
        Command::Listen(arguments) => run(listen::run(arguments)),
        Command::Assert(arguments) => run(assertions::run(arguments)),
        Command::Keygen(arguments) => keygen::run(&arguments),
        Command::Pack(arguments) => run(pack::run(arguments)),
        Command::Inspect(arguments) => inspect::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Image(arguments) => image::run(&arguments),
        Command::Doctor(arguments) => run(doctor::run(arguments)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            words::trouble(&trouble);
            trouble.code()
        }
    }
}

fn run(command: impl Future<Output = Result<()>>) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|error| tollgate_cli::trouble::Trouble::new(format!("cannot start: {error}"), "", ""))?;
    runtime.block_on(command)
}
