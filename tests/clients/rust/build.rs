//! Generates the client with progenitor.

use std::error::Error;
use std::path::Path;
use std::{env, fs};

const DOCUMENT: &str = "../../../openapi/openapi.json";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={DOCUMENT}");
    let mut document: serde_json::Value = serde_json::from_str(&fs::read_to_string(DOCUMENT)?)?;
    // progenitor supports one type of success per operation. The 202 of a server that requires a
    // verified email address has another type than the 201.
    let responses = document.pointer_mut("/paths/~1api~1auth~1signup/post/responses");
    let responses = responses.and_then(|it| it.as_object_mut()).ok_or("no sign-up")?;
    responses.remove("202").ok_or("no 202 for the sign-up")?;
    let document = serde_json::from_value(document)?;
    let client = progenitor::Generator::default().generate_tokens(&document)?;
    let file = Path::new(&env::var("OUT_DIR")?).join("signet.rs");
    Ok(fs::write(file, client.to_string())?)
}
