//! Checks the access tokens on standard input, one per line. For each token it prints `accepted`,
//! or the reason why a service would refuse it. Like a service, it caches keys and status lists.
//!
//! ```sh
//! cargo run --features http --example verify -- https://id.example https://api.example
//! ```

use std::error::Error;
use std::io::{BufRead, stdin};

use signet_verifier::RemoteVerifier;

#[expect(clippy::print_stdout, reason = "the example prints its results")]
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
