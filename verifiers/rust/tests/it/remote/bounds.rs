//! Limits of a fetch: no redirects, no decompression bombs, no endless responses.

use std::io::Read;
use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use ::axum::http::header;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::harness::public_jwk;
use crate::harness::valid_token;
use crate::remote::issuer::Issuer;
use crate::remote::issuer::KEYS_PATH;
use crate::remote::issuer::LIST_PATH;
use crate::remote::issuer::Reply;
use crate::remote::issuer::keys;
use crate::remote::issuer::nothing_revoked;
use crate::remote::issuer::outcome;

fn compressed(reply: Reply) -> Reply {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&reply.body).unwrap();
    Reply { body: encoder.finish().unwrap().into(), ..reply }.with(header::CONTENT_ENCODING, "gzip")
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let issuer = Issuer::start().await;
        let elsewhere = Reply::failing(status).with(header::LOCATION, "/elsewhere");
        issuer.serve("/elsewhere", keys(&[public_jwk()]));
        issuer.serve(KEYS_PATH, elsewhere.clone());
        assert_eq!(outcome(&issuer.verifier(), &valid_token()).await, "keys_unavailable");

        issuer.serve(KEYS_PATH, keys(&[public_jwk()]));
        issuer.serve("/elsewhere", nothing_revoked());
        issuer.serve(LIST_PATH, elsewhere);
        assert_eq!(outcome(&issuer.verifier(), &valid_token()).await, "status_unavailable");

        assert_eq!(issuer.requests("/elsewhere"), 0, "{status}");
    }
}

#[tokio::test]
async fn only_status_200_is_accepted() {
    for status in [201, 203, 204, 206, 304, 400, 404, 500] {
        let issuer = Issuer::start().await;
        let reply = Reply { status: Reply::failing(status).status, ..keys(&[public_jwk()]) };
        issuer.serve(KEYS_PATH, reply);
        assert_eq!(outcome(&issuer.verifier(), &valid_token()).await, "keys_unavailable");
    }
}

#[tokio::test]
async fn compressed_responses_are_accepted() {
    let issuer = Issuer::empty().await;
    issuer.serve(KEYS_PATH, compressed(keys(&[public_jwk()])));
    issuer.serve(LIST_PATH, compressed(nothing_revoked()));

    assert_eq!(outcome(&issuer.verifier(), &valid_token()).await, "accepted");
}

/// The padded key sets are valid except for their length, because whitespace may follow the JSON.
#[tokio::test]
async fn overlong_response_is_rejected() {
    const LIMIT: usize = 256 * 1024;
    let issuer = Issuer::start().await;
    let padded_to = |length: usize| {
        let mut body = keys(&[public_jwk()]).body.to_vec();
        body.resize(length, b' ');
        Reply::new(body)
    };
    for (reply, expected) in [
        (padded_to(LIMIT), "accepted"),
        (padded_to(LIMIT + 1), "keys_unavailable"),
        (compressed(padded_to(LIMIT)), "accepted"),
        (compressed(padded_to(LIMIT + 1)), "keys_unavailable"),
        (compressed(padded_to(64 * LIMIT)), "keys_unavailable"),
    ] {
        issuer.serve(KEYS_PATH, reply);
        assert_eq!(outcome(&issuer.verifier(), &valid_token()).await, expected);
    }

    issuer.serve(KEYS_PATH, keys(&[public_jwk()]));
    issuer.serve(LIST_PATH, compressed(Reply::new(vec![b'a'; 16 * 1024 * 1024])));
    assert_eq!(outcome(&issuer.verifier(), &valid_token()).await, "status_unavailable");
}

/// The verifier reads only a small part of the response from the network.
#[tokio::test]
async fn endless_response_is_cut_off() {
    const MEBIBYTE: usize = 1024 * 1024;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        peer.read_exact(&mut [0; 16]).unwrap();
        peer.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let spaces = vec![b' '; MEBIBYTE];
        let is_sent = |_: &usize| peer.write_all(&spaces).is_ok();
        (0..256).take_while(is_sent).count()
    });
    let issuer = Issuer::start().await;
    let verifier = issuer.builder().base_url(format!("http://{address}")).build().unwrap();

    assert_eq!(outcome(&verifier, &valid_token()).await, "keys_unavailable");

    // This includes the contents of the socket buffers.
    let mebibytes = server.join().unwrap();
    assert!(mebibytes < 32, "{mebibytes} MiB were sent");
}

#[tokio::test]
async fn fetch_times_out_after_three_seconds() {
    let issuer = Issuer::start().await;
    issuer.serve(KEYS_PATH, keys(&[public_jwk()]).after(Duration::from_mins(1)));
    let started_at = Instant::now();

    assert_eq!(outcome(&issuer.verifier(), &valid_token()).await, "keys_unavailable");

    let waited = started_at.elapsed();
    assert!((2..6).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test]
async fn unreachable_issuer_is_reported_as_unavailable() {
    let issuer = Issuer::start().await;
    let verifier = issuer.builder().base_url("http://127.0.0.1:1").build().unwrap();

    assert_eq!(outcome(&verifier, &valid_token()).await, "keys_unavailable");
}
