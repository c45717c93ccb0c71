//! The reference for the JWKS: a server that uses poem but not Signet, and responds with fixed
//! bytes.

use std::path::Path;

use bytes::Bytes;
use poem::listener::TcpListener;
use poem::{Endpoint, Request, Response, Result, Route, get};

struct Fixed(Bytes);

impl Endpoint for Fixed {
    type Output = Response;

    async fn call(&self, _: Request) -> Result<Response> {
        Ok(Response::builder().content_type("application/jwk-set+json").body(self.0.clone()))
    }
}

/// Serves until it is killed. Like signet, it has tokio's default number of workers.
pub(crate) fn serve(port: u16, body: &Path) -> anyhow::Result<()> {
    let fixed = Fixed(std::fs::read(body)?.into());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let routes = Route::new().at(crate::load::JWKS, get(fixed));
    let server = poem::Server::new(TcpListener::bind(("127.0.0.1", port)));
    Ok(runtime.block_on(server.run(routes))?)
}
