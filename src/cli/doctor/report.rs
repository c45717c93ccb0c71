//! The findings: one line each, faults with a remedy.

use crate::cli::output::{OutputError, print};

/// Findings in the order of the checks.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

#[derive(Debug)]
enum Finding {
    Fine(String),
    Note(String),
    Fault { what: String, remedy: &'static str },
}

impl Report {
    pub(super) fn fine(&mut self, what: impl Into<String>) {
        self.0.push(Finding::Fine(what.into()));
    }

    /// Information that is neither good nor a fault.
    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.0.push(Finding::Note(what.into()));
    }

    pub(super) fn fault(&mut self, what: impl Into<String>, remedy: &'static str) {
        self.0.push(Finding::Fault { what: what.into(), remedy });
    }

    /// Records `what` as fine if `holds`, otherwise as a fault.
    pub(super) fn check(&mut self, holds: bool, what: &str, remedy: &'static str) {
        if holds { self.fine(what) } else { self.fault(format!("not so: {what}"), remedy) }
    }

    pub(super) fn faults(&self) -> usize {
        self.0.iter().filter(|finding| matches!(finding, Finding::Fault { .. })).count()
    }

    pub(super) fn print(&self) -> Result<(), OutputError> {
        for finding in &self.0 {
            match finding {
                Finding::Fine(what) => print(&format!("  ok     {what}"))?,
                Finding::Note(what) => print(&format!("  note   {what}"))?,
                Finding::Fault { what, remedy } => {
                    print(&format!("  FAULT  {what}"))?;
                    print(&format!("         → {remedy}"))?;
                }
            }
        }
        Ok(())
    }
}
