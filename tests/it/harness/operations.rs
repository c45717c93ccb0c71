//! The operations of the JSON API as listed in its OpenAPI document, so that new ones are tested
//! automatically.

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value, json};

use crate::harness::{Answer, PASSWORD, TestServer};

/// One operation, with an example of each member of its body.
pub struct Operation {
    pub method: Method,
    pub path: String,
    pub body: Option<Map<String, Value>>,
}

impl TestServer {
    /// All operations of `/openapi.json`.
    pub async fn operations(&self) -> Vec<Operation> {
        let document = self.get("/openapi.json").await.json();
        let paths = document["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().iter();
            methods.map(|(method, operation)| Operation {
                method: Method::from_bytes(method.to_uppercase().as_bytes()).unwrap(),
                path: with_unknown_ids(path),
                body: example(&document, operation),
            })
        });
        operations.collect()
    }

    /// The operations that have a request body.
    pub async fn operations_with_body(&self) -> Vec<(Operation, Map<String, Value>)> {
        let operations = self.operations().await.into_iter();
        operations.filter_map(|mut it| it.body.take().map(|body| (it, body))).collect()
    }

    /// Calls an operation with the given access token and body, from a new client address.
    pub async fn call(&self, operation: &Operation, token: &str, body: impl AsRef<[u8]>) -> Answer {
        let request = self
            .request(operation.method.clone(), &operation.path)
            .header("x-forwarded-for", self.new_client_address())
            .header(CONTENT_TYPE, "application/json")
            .bearer_auth(token);
        Answer::of(request.body(body.as_ref().to_vec())).await
    }
}

/// The path with an unknown id for each parameter.
fn with_unknown_ids(path: &str) -> String {
    let unknown_id = "00000000-0000-0000-0000-000000000000";
    let segments =
        path.split('/').map(|segment| if segment.starts_with('{') { unknown_id } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

fn example(document: &Value, operation: &Value) -> Option<Map<String, Value>> {
    let body = operation.pointer("/requestBody/content/application~1json/schema/$ref")?;
    Some(example_of_schema(document, body))
}

fn example_of_schema(document: &Value, reference: &Value) -> Map<String, Value> {
    let schema = document.pointer(reference.as_str().unwrap().trim_start_matches('#')).unwrap();
    let members = schema["properties"].as_object().unwrap().iter();
    let example = |name: &str, member: &Value| {
        // A nullable reference is wrapped in `allOf`.
        match member.get("$ref").or_else(|| member.pointer("/allOf/0/$ref")) {
            Some(reference) => Value::Object(example_of_schema(document, reference)),
            None => json!(example_value(name)),
        }
    };
    members.map(|(name, member)| (name.clone(), example(name, member))).collect()
}

fn example_value(member: &str) -> &'static str {
    match member {
        "email" => "somebody@example.test",
        "password" | "current_password" => PASSWORD,
        _ => "some text",
    }
}
