//! The time to check a token with `Verifier` (without its status), and with a `RemoteVerifier` that
//! has cached the key set and the status list, compared with the bare check of the RSA signature:
//!
//! ```sh
//! cargo bench -p signet-verifier --features http --bench warm
//! ```
//!
//! The three checks run in turns, so other load on the machine affects them equally. Compare the
//! ratios.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "failed preparations abort the benchmark"
)]

use std::hint::black_box;
use std::time::Instant;
use std::time::SystemTime;

use axum::Router;
use axum::routing::get;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::read::ZlibEncoder;
use josekit::jws::JwsSigner;
use josekit::jws::RS256;
use openssl::hash::MessageDigest;
use openssl::pkey::PKey;
use openssl::pkey::Private;
use openssl::rsa::Rsa;
use openssl::sign::Verifier as BareVerifier;
use serde_json::Value;
use serde_json::json;
use signet_verifier::KeySet;
use signet_verifier::RemoteVerifier;
use signet_verifier::Verifier;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::runtime::Runtime;

const ISSUER: &str = "https://id.example.test";
const AUDIENCE: &str = "https://tasks.example.test";
const ROUNDS: usize = 2_001;

/// Calls per turn. Most turns should end before the system schedules another process on the core.
const CALLS: u32 = 20;

/// The inputs of all checks. All signatures are made with `key`.
struct Bench {
    key: PKey<Private>,
    token: String,
    jwks: String,
    now: u64,
    runtime: Runtime,
    remote: RemoteVerifier,
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn token(key: &PKey<Private>, typ: &str, claims: &Value) -> String {
    let header =
        json!({"alg": "RS256", "typ": typ, "kid": "8QjUW8pPDBVZXmw3qHXXuLGnsiIkEDmcf4VVq6bR9Tc"});
    let signed = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
    let rs256 = RS256.signer_from_pem(key.private_key_to_pem_pkcs8().unwrap()).unwrap();
    format!("{signed}.{}", encode(rs256.sign(signed.as_bytes()).unwrap()))
}

/// Creates a token like those of Signet, a key set, and a server with a list of a million sessions.
fn prepare() -> Bench {
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let user = "0197a1b2-0000-7000-8000-000000000001";
    let uri = format!("{ISSUER}/status/1");
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": now + 86_400, "iat": now, "auth_time": now,
        "sub": user, "user_id": user, "email": "ada@example.test", "client_id": "signet",
        "sid": "0197a1b2-0000-7000-8000-00000000000b",
        "jti": "0197a1b2-0000-7000-8000-00000000000a", "scope": "openid email offline_access",
        "status": {"status_list": {"idx": 765_432, "uri": uri}},
    });
    let mut zlib = Vec::new();
    let zeros = vec![0; 125_000];
    std::io::copy(&mut ZlibEncoder::new(&zeros[..], Compression::best()), &mut zlib).unwrap();
    let list = json!({
        "sub": uri, "iat": now, "exp": now + 86_400, "ttl": 86_400,
        "status_list": {"bits": 1, "lst": encode(zlib)},
    });
    let modulus = encode(key.rsa().unwrap().n().to_vec());
    let jwk = json!({"kty": "RSA", "kid": "8QjUW8pPDBVZXmw3qHXXuLGnsiIkEDmcf4VVq6bR9Tc", "n": modulus, "e": "AQAB"});
    let jwks = json!({"keys": [jwk]}).to_string();
    let (list, keys) = (token(&key, "statuslist+jwt", &list), jwks.clone());

    let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new()
        .route("/.well-known/jwks.json", get(async || keys))
        .route("/status/1", get(async || list));
    runtime.spawn(async { axum::serve(listener, router).await.unwrap() });
    let remote = RemoteVerifier::builder(ISSUER, AUDIENCE).base_url(base_url).no_proxy();
    let token = token(&key, "at+jwt", &claims);
    Bench { key, token, jwks, now, runtime, remote: remote.build().unwrap() }
}

/// Nanoseconds per call.
fn time(mut call: impl FnMut()) -> f64 {
    let started_at = Instant::now();
    for _ in 0..CALLS {
        call();
    }
    started_at.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
}

fn main() {
    let Bench { key, token, jwks, now, runtime, remote } = prepare();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let keys = KeySet::from_json(jwks.as_bytes()).unwrap();
    let pure = Verifier::new(ISSUER, AUDIENCE);

    let mut times: [Vec<f64>; 3] = Default::default();
    for _ in 0..ROUNDS {
        let round = [
            time(|| {
                let mut bare = BareVerifier::new(MessageDigest::sha256(), &key).unwrap();
                assert!(bare.verify_oneshot(&signature, signed.as_bytes()).unwrap());
            }),
            time(|| drop(black_box(pure.verify(&keys, &token, now).unwrap()))),
            runtime.block_on(async {
                let started_at = Instant::now();
                for _ in 0..CALLS {
                    black_box(remote.verify(&token).await.unwrap());
                }
                started_at.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS)
            }),
        ];
        times.iter_mut().zip(round).for_each(|(all, one)| all.push(one));
    }

    println!("{ROUNDS} rounds of {CALLS} calls each, in turns; token of {} bytes", token.len());
    for (name, all) in ["bare RSA-2048", "Verifier", "RemoteVerifier, warm"].iter().zip(&times) {
        let ratios = all.iter().zip(&times[0]).map(|(it, bare)| it / bare).collect();
        let ([low, median, high], [_, ratio, _]) = (quartiles(all.clone()), quartiles(ratios));
        println!("{name:22} {median:7.0} ns ({low:.0} to {high:.0})   {ratio:.3} x");
    }
}

/// The first quartile, the median, and the third quartile.
fn quartiles(mut all: Vec<f64>) -> [f64; 3] {
    all.sort_unstable_by(f64::total_cmp);
    [1, 2, 3].map(|quarter| all[(all.len() - 1) * quarter / 4])
}
