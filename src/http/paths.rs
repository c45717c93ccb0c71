//! The methods and operation ids of each path.

use std::collections::BTreeMap;
use std::sync::Arc;

use poem::http::{HeaderValue, Method};
use serde_json::Value;

/// The paths of the JSON API, the protocol and the pages. All others are read-only.
#[derive(Clone)]
pub(super) struct Paths(Arc<[Path]>);

struct Path {
    /// Split at slashes; a segment in braces matches anything.
    segments: Vec<String>,
    allow: HeaderValue,
    /// By method, for the JSON API only: other operations set their id themselves.
    operations: BTreeMap<String, String>,
}

impl Paths {
    /// The paths in the OpenAPI document, and others with their methods.
    pub(super) fn new(
        description: &str,
        others: impl IntoIterator<Item = (&'static str, &'static str)>,
    ) -> Self {
        let document: Value = serde_json::from_str(description).unwrap_or_default();
        let described = document.get("paths").and_then(Value::as_object);
        let described = described.into_iter().flatten();
        let described = described.filter_map(|(path, item)| Path::described(path, item));
        let others = others.into_iter().map(|(path, methods)| Path {
            segments: path.split('/').map(str::to_owned).collect(),
            allow: HeaderValue::from_static(methods),
            operations: BTreeMap::new(),
        });
        Self(described.chain(others).collect())
    }

    /// The `Allow` header of a 405 (RFC 9110 §15.5.6).
    pub(super) fn allow(&self, path: &str) -> HeaderValue {
        let found = self.find(path).map(|path| path.allow.clone());
        found.unwrap_or(HeaderValue::from_static("GET, HEAD"))
    }

    /// The operation id in the OpenAPI document, if the operation is in it.
    pub(super) fn operation(&self, method: &Method, path: &str) -> Option<&str> {
        self.find(path)?.operations.get(method.as_str()).map(String::as_str)
    }

    fn find(&self, path: &str) -> Option<&Path> {
        let segments: Vec<_> = path.split('/').collect();
        self.0.iter().find(|path| path.is(&segments))
    }
}

impl Path {
    fn described(path: &str, item: &Value) -> Option<Self> {
        let mut methods = Vec::new();
        let mut operations = BTreeMap::new();
        for (method, operation) in item.as_object()? {
            let method = method.to_uppercase();
            methods.push(method.clone());
            if let Some(id) = operation.get("operationId").and_then(Value::as_str) {
                operations.insert(method, id.to_owned());
            }
        }
        if operations.contains_key("GET") {
            methods.push("HEAD".to_owned());
        }
        let allow = HeaderValue::from_str(&methods.join(", ")).ok()?;
        let segments = path.split('/').map(str::to_owned).collect();
        Some(Self { segments, allow, operations })
    }

    fn is(&self, segments: &[&str]) -> bool {
        let is_one = |(pattern, segment): (&String, &&str)| {
            pattern.starts_with('{') || pattern.as_str() == *segment
        };
        self.segments.len() == segments.len() && self.segments.iter().zip(segments).all(is_one)
    }
}
