//! Generates `docs/audit-events.md`.

use std::fmt::Write;

use crate::domain::audit::kind::Kind;

/// The text of `docs/audit-events.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Audit events\n\n\
         The table `auth_event` ([its columns](data-model.md)) has a row for each event, which is \
         written in the transaction of the action that it records. Events never contain a secret. \
         Events that `signet import accounts --auth-events` imported have the reason \
         `imported from fastapi`. `signet config audit-events` generates this page from \
         `src/domain/audit/kind.rs`.\n\n\
         | type | outcome | meaning |\n|---|---|---|\n",
    );
    for kind in Kind::ALL {
        let meaning = kind.meaning().replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {} | {meaning} |", kind.name(), kind.outcome());
    }
    text
}
