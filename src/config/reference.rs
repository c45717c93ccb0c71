//! The settings as text: `.env.example` and `docs/configuration.md`, from the same doc comments
//! that make `--help`.

use std::fmt::Write;

use clap::{Arg, Args, Command};

use crate::config::Config;

/// One setting, as its doc comment and attributes describe it.
pub(super) struct Setting {
    pub(super) variable: String,
    flag: String,
    group: String,
    default: Option<String>,
    choices: Vec<String>,
    text: String,
}

/// The settings that `command` or one of its subcommands accepts, in the order of their fields.
pub(super) fn settings(command: &Command) -> Vec<Setting> {
    let own = command.get_arguments();
    let below = command.get_subcommands().flat_map(Command::get_arguments);
    own.chain(below).filter_map(Setting::of).collect()
}

impl Setting {
    fn of(arg: &Arg) -> Option<Self> {
        let variable = arg.get_env()?.to_str()?.to_owned();
        let text = arg.get_long_help().or_else(|| arg.get_help())?.to_string();
        let defaults: Vec<_> =
            arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
        let choices = arg.get_possible_values();
        Some(Self {
            variable,
            flag: format!("--{}", arg.get_long()?),
            group: arg.get_help_heading().unwrap_or_default().to_owned(),
            default: Some(defaults.join(",")).filter(|default| !default.is_empty()),
            choices: choices.iter().map(|choice| choice.get_name().to_owned()).collect(),
            // clap drops the full stop at the end of a doc comment.
            text: text.split_whitespace().collect::<Vec<_>>().join(" ") + ".",
        })
    }
}

fn all() -> Vec<Setting> {
    settings(&Config::augment_args(Command::new("signet")))
}

/// The text of `.env.example`.
#[must_use]
pub fn env_example() -> String {
    let mut text = String::from(
        "# Settings of Signet. Copy to `.env` and uncomment what you change. A value with a space or a # \
         stands in quotes.\n\
         # Made by `signet config env-example`; the same list with flags: docs/configuration.md.\n",
    );
    let mut group = String::new();
    for setting in all() {
        if setting.group != group {
            let _ = write!(text, "\n# == {} ==\n", setting.group);
            group.clone_from(&setting.group);
        }
        text.push('\n');
        for line in wrapped(&setting.text, 96) {
            let _ = writeln!(text, "# {line}");
        }
        let value = setting.default.unwrap_or_default();
        let quote = if value.contains(['#', ' ']) { "'" } else { "" };
        let _ = writeln!(text, "#{}={quote}{value}{quote}", setting.variable);
    }
    text
}

/// The text of `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Every setting is a flag of `signet serve`, a `SIGNET_*` variable, or a line of `.env` in \
         the working directory; a flag wins over a variable, and a variable over `.env`. An unknown \
         `SIGNET_*` variable refuses to start. This page is made by `signet config markdown` from \
         the doc comments in `src/config`.\n",
    );
    let mut group = String::new();
    for setting in all() {
        if setting.group != group {
            let _ = write!(text, "\n## {}\n\n| setting | default | meaning |\n", setting.group);
            text.push_str("|---|---|---|\n");
            group.clone_from(&setting.group);
        }
        let default = setting.default.map(|value| format!("`{value}`")).unwrap_or_default();
        let choices = match setting.choices.as_slice() {
            [] => String::new(),
            choices => format!(" One of `{}`.", choices.join("`, `")),
        };
        let Setting { variable, flag, text: meaning, .. } = setting;
        let meaning = meaning.replace('|', "\\|");
        let _ = writeln!(text, "| `{variable}`<br>`{flag}` | {default} | {meaning}{choices} |");
    }
    text
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let full = lines.last().is_some_and(|line| line.len() + 1 + word.len() > width);
        if full {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
