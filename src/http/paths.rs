//! The methods and operation ids of each path of the JSON API.

use std::collections::BTreeMap;

use poem::http::{HeaderValue, Method};
use serde_json::Value;

/// The paths of the JSON API.
pub(super) struct Paths(Vec<Path>);

struct Path {
    /// The path, split at slashes. A segment in braces matches any segment.
    segments: Vec<String>,
    allow: HeaderValue,
    /// The operation ids by method.
    operations: BTreeMap<String, String>,
}

impl Paths {
    /// The paths in the OpenAPI document.
    pub(super) fn new(document: &str) -> Self {
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let paths = document.get("paths").and_then(Value::as_object).into_iter().flatten();
        Self(paths.filter_map(|(path, item)| Path::from_item(path, item)).collect())
    }

    /// The `Allow` header of a 405 response at this path (RFC 9110 §15.5.6).
    pub(super) fn allow(&self, path: &str) -> Option<HeaderValue> {
        self.find(path).map(|path| path.allow.clone())
    }

    /// The id of the operation with this method and path, if there is one.
    pub(super) fn operation(&self, method: &Method, path: &str) -> Option<&str> {
        self.find(path)?.operations.get(method.as_str()).map(String::as_str)
    }

    fn find(&self, path: &str) -> Option<&Path> {
        let segments: Vec<_> = path.split('/').collect();
        self.0.iter().find(|path| path.matches(&segments))
    }
}

impl Path {
    fn from_item(path: &str, item: &Value) -> Option<Self> {
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

    fn matches(&self, segments: &[&str]) -> bool {
        let segment_matches = |(pattern, segment): (&String, &&str)| {
            pattern.starts_with('{') || pattern.as_str() == *segment
        };
        self.segments.len() == segments.len()
            && self.segments.iter().zip(segments).all(segment_matches)
    }
}
