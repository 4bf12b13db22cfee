//! `tollgate assert`: what a running emulator must have recorded, as sentences. For shell scripts and CI.

use crate::arguments::Assert;
use crate::control::{Control, Finding};
use crate::trouble::{Result, Trouble};
use crate::words;

/// Checks every sentence.
///
/// # Errors
/// One does not hold (exit code 1); one cannot be read, or the emulator does not answer (exit code 3).
pub async fn run(arguments: Assert) -> Result<()> {
    let control = Control::new(arguments.emulator);
    let findings = control.check(&arguments.sentences).await?;
    if arguments.json {
        for finding in &findings {
            words::data(&serde_json::to_string(finding).unwrap_or_default());
        }
    }
    findings.iter().for_each(tell);
    let failed = findings.iter().filter(|finding| !finding.holds).count();
    if failed > 0 {
        let what = format!("{failed} of {} assertions do not hold", findings.len());
        return Err(Trouble::fails(
            what,
            "",
            format!("all that was recorded: {}/_tollgate/calls?format=csv", control.origin()),
        ));
    }
    Ok(())
}

fn tell(finding: &Finding) {
    if finding.holds {
        return words::good(&finding.assertion);
    }
    words::bad(&format!("{}: there are {}", finding.assertion, finding.found));
    for near in &finding.near {
        words::detail(&format!("there is: {near}"));
    }
}
