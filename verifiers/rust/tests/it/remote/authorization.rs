//! The shared values of the header field `Authorization`: `verifiers/vectors/authorization.json`.

use std::fs;
use std::path::Path;

use ::axum::http::HeaderValue;
use ::axum::http::header;
use serde_json::Value;
use serde_json::json;

use crate::harness::USER;
use crate::harness::valid_token;
use crate::remote::answers::Answer;
use crate::remote::answers::Request;
use crate::remote::answers::Service;
use crate::remote::issuer::Issuer;

/// Sends the request of every shared case. A value with a control character cannot become a
/// `HeaderValue`, so such a request never reaches a service.
pub(crate) async fn assert_shared_cases(service: impl Service) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/authorization.json");
    let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert!(cases.len() > 50);
    let issuer = Issuer::start().await;
    let verifier = issuer.verifier();
    let mut differences = Vec::new();
    for case in cases {
        let request = request(case);
        let is_sent = request.authorization.iter().all(|v| HeaderValue::from_bytes(v).is_ok());
        if !is_sent && case["server_may_refuse"] == true {
            continue;
        }
        let found = outcome(&service(verifier.clone(), request).await);
        if found != case["expect"] {
            differences.push(format!("{}: {found}", case["name"]));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
}

fn request(case: &Value) -> Request {
    let token = valid_token();
    let insert = |template: &Value| template.as_str().unwrap_or("").replace("{token}", &token);
    Request {
        path: format!("/users/{USER}/tasks?{}", insert(&case["query"])),
        authorization: case["authorization"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| insert(value).chars().map(|c| u8::try_from(c).unwrap()).collect())
            .collect(),
        form: insert(&case["body"]),
    }
}

fn outcome(answer: &Answer) -> Value {
    if answer.status == 200 {
        return json!({"status": 200});
    }
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let challenge = answer.headers.get(header::WWW_AUTHENTICATE).unwrap().to_str().unwrap();
    json!({
        "status": answer.status.as_u16(),
        "error": body["error"],
        "www_authenticate": challenge,
    })
}
