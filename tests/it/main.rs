//! Black-box tests through HTTP, against a real server on a real socket.
//!
//! The database is SQLite, or PostgreSQL if `TEST_DATABASE_URL` names a server on which databases
//! can be created. Each test has its own database. The name of a test states the expected
//! behaviour; its doc comment names the check of `docs/checks.md` that it implements.

#![expect(unreachable_pub, reason = "a test binary exports nothing")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests and their helpers fail by panicking"
)]

mod access_token;
mod account_commands;
mod account_data;
mod account_deletion;
mod account_export;
mod account_import;
mod account_limit;
mod account_page;
mod account_why;
mod addresses;
mod architecture;
mod audit;
mod audit_failure;
mod authorize;
mod backup_commands;
mod browser_idle;
mod check_references;
mod claims_parameter;
mod client_address;
mod client_commands;
mod client_disconnect;
mod client_leniency;
mod client_limits;
mod client_locks;
mod code_exchange_retry;
mod code_flow;
mod code_races;
mod command_output;
mod concealed_sign_up;
mod concurrent_logins;
mod conformance_page;
mod connections;
mod consent_api;
mod consent_races;
mod consents;
mod cors;
mod database_copy;
mod dead_link;
mod descriptors;
mod doctor;
mod echo;
mod email_change;
mod email_verification;
mod enumeration;
mod first_start;
mod foreign_forms;
mod foreign_host;
mod forged_elsewhere;
mod forged_token;
mod forgotten_password;
mod growth;
mod harness;
mod hosted_pages;
mod identity;
mod import_events;
mod import_faults;
mod import_formats;
mod import_runs;
mod import_targets;
mod import_texts;
mod imports;
mod invites;
mod key_commands;
mod keys;
mod kill_switch_races;
mod kill_switches;
mod log_output;
mod logins;
mod logout;
mod logout_fairness;
mod mail;
mod mail_after_key_replacement;
mod main_use_case;
mod malformed;
mod many_sessions;
mod master_key;
mod metadata;
mod narrowing;
mod nothing_left;
mod old_forms;
mod old_hints;
mod openapi;
mod operator_changes;
mod original;
mod own_pages;
mod page_cookie;
mod page_languages;
mod page_looks;
mod pages_for_people;
mod parameters;
mod password;
mod password_change;
mod password_policy;
mod paths;
mod private_key_jwt;
mod profile;
mod profile_page;
mod public_client;
mod public_documents;
mod races;
mod rate_limit;
mod reflection;
mod refresh;
mod refresh_batches;
mod refresh_failure;
mod refresh_secrecy;
mod repeated_forms;
mod repeated_mail_forms;
mod repeated_parameters;
mod replaced_hash;
mod request_head;
mod request_limits;
mod reset;
mod reset_sequences;
mod response_times;
mod restored;
mod retention;
mod retry_after;
mod rotation;
mod schema;
mod session_family;
mod shared_address;
mod sign_up_policy;
mod single_server;
mod speculation;
mod startup;
mod status_list;
mod token_endpoint;
mod token_state;
mod typ_jwt;
mod unauthenticated;
mod waiting;
