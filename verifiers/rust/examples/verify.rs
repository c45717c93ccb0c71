//! Checks the access tokens on standard input, one a line, and says of each what a service would
//! make of it: `accepted`, or why not. It keeps keys and lists in between, as a service does.
//!
//! ```sh
//! cargo run --features http --example verify -- https://id.example https://api.example
//! ```

use std::error::Error;
use std::io::{BufRead, stdin};

use signet_verifier::RemoteVerifier;

#[expect(clippy::print_stdout, reason = "what it prints is all that the example is for")]
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(issuer), Some(audience)) = (arguments.next(), arguments.next()) else {
        return Err("usage: verify ISSUER AUDIENCE".into());
    };
    let verifier = RemoteVerifier::new(&issuer, &audience)?;
    for token in stdin().lock().lines() {
        match verifier.verify(token?.trim()).await {
            Ok(_) => println!("accepted"),
            Err(error) => println!("refused: {error}"),
        }
    }
    Ok(())
}
