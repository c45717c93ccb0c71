//! The findings of the checks. Each is printed on a line, and a fault with its remedy below it.

use std::fmt::Display;

use crate::cli::output::{OutputError, print};

/// Findings in the order of the checks.
#[derive(Debug, Default)]
pub(super) struct Report(Vec<Finding>);

#[derive(Debug)]
struct Finding {
    mark: &'static str,
    what: String,
    /// Only faults have a remedy.
    remedy: Option<&'static str>,
}

impl Report {
    pub(super) fn fine(&mut self, what: impl Into<String>) {
        self.0.push(Finding { mark: "ok", what: what.into(), remedy: None });
    }

    /// Information that is neither good nor a fault.
    pub(super) fn note(&mut self, what: impl Into<String>) {
        self.0.push(Finding { mark: "note", what: what.into(), remedy: None });
    }

    pub(super) fn fault(&mut self, what: impl Into<String>, remedy: &'static str) {
        self.0.push(Finding { mark: "FAULT", what: what.into(), remedy: Some(remedy) });
    }

    /// Returns the result of a query. Records a failure as a fault.
    pub(super) fn read<T>(&mut self, what: &str, result: Result<T, impl Display>) -> Option<T> {
        let failed = |error| self.fault(format!("{what} cannot be read: {error}"), "migrate first");
        result.map_err(failed).ok()
    }

    /// Records `what` as fine if `holds`, otherwise as a fault.
    pub(super) fn check(&mut self, holds: bool, what: &str, remedy: &'static str) {
        if holds { self.fine(what) } else { self.fault(format!("not so: {what}"), remedy) }
    }

    pub(super) fn faults(&self) -> usize {
        self.0.iter().filter(|finding| finding.remedy.is_some()).count()
    }

    pub(super) fn print(&self) -> Result<(), OutputError> {
        for Finding { mark, what, remedy } in &self.0 {
            print(&format!("  {mark:<7}{what}"))?;
            if let Some(remedy) = remedy {
                print(&format!("         → {remedy}"))?;
            }
        }
        Ok(())
    }
}
