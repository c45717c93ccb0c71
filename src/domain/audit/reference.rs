//! Generates `docs/audit-events.md`.

use std::fmt::Write;

use crate::domain::audit::kind::Kind;

/// The text of `docs/audit-events.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Audit events\n\n\
         The table `auth_event` has a row for each of these, written in the transaction of what it \
         records ([its columns](data-model.md)). Events never contain a secret. Events that \
         `signet import accounts --auth-events` took over have the reason `imported from fastapi`. \
         This page is made by `signet config audit-events` from `src/domain/audit/kind.rs`.\n\n\
         | type | outcome | meaning |\n|---|---|---|\n",
    );
    for kind in Kind::ALL {
        let meaning = kind.meaning().replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {} | {meaning} |", kind.name(), kind.outcome());
    }
    text
}
