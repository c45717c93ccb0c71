//! JSON bodies: parsed strictly, and rejected without echoing any value.
//!
//! The errors of poem-openapi's own payload repeat the client's JSON, passwords included, and do
//! not name a missing member. [`Json`] parses with serde, and its errors name the invalid member.

use std::fmt;
use std::marker::PhantomData;

use poem::http::StatusCode;
use poem::{IntoResponse, Request, RequestBody, Response, Result};
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchemaRef, Registry};
use poem_openapi::types::{MaybeUndefined, Type};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;

use crate::http::error::{FieldProblem, Problem};

/// The UTF-8 byte order mark, with which some editors start a file.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Maximum length of a member name that errors repeat, in bytes.
const MAX_QUOTED_BYTES: usize = 40;

/// Deserializes a member that may be omitted, but not null.
pub(super) fn not_null<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// A JSON object as the body of a request or a response.
pub(super) struct Json<T>(pub(super) T);

impl<T: Type> Payload for Json<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        let media_type = content_type.split(';').next().unwrap_or_default();
        media_type.trim().eq_ignore_ascii_case("application/json")
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<'a, T: DeserializeOwned + Type> ApiExtractor<'a> for Json<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Self as Payload>::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content =
            vec![MetaMediaType { content_type: Self::CONTENT_TYPE, schema: Self::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        if !request.content_type().is_some_and(Self::check_content_type) {
            return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE).into());
        }
        let bytes = body.take()?.into_bytes().await?;
        parse(&bytes).map(Self).map_err(|field| Problem::validation(vec![field]).into())
    }
}

impl<T: Serialize + Send> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => Response::builder().content_type("application/json").body(body),
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into(),
        }
    }
}

/// Reads a member that is an object or null; for `deserialize_with`. An array is refused, although
/// serde would read a struct from it.
pub(super) fn object_or_null<'de, D, T>(
    member: D,
) -> std::result::Result<MaybeUndefined<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    member.deserialize_any(ObjectOrNull(PhantomData))
}

struct ObjectOrNull<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectOrNull<T> {
    type Value = MaybeUndefined<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(MaybeUndefined::Null)
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        members: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(MaybeUndefined::Value)
    }
}

/// The object in `bytes`, or which member is invalid and what was expected.
fn parse<T: DeserializeOwned>(bytes: &[u8]) -> std::result::Result<T, FieldProblem> {
    // RFC 8259 §8.1 allows parsers to ignore a byte order mark.
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    // serde would also read a struct from an array.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(FieldProblem::new("body", "must be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        match error.inner().classify() {
            Category::Data => schema_violation(&path, &error.inner().to_string()),
            _ => FieldProblem::new("body", "is not valid JSON"),
        }
    })?;
    json.end().map_err(|_| FieldProblem::new("body", "has trailing data after the JSON object"))?;
    Ok(value)
}

/// Converts serde's message to an error that repeats what the message says about the schema, and no
/// value of the request.
fn schema_violation(path: &str, message: &str) -> FieldProblem {
    // Splits at the last match, because a member's name may contain any text.
    let (message, position) = message.rsplit_once(" at line ").unwrap_or((message, "1 column 1"));
    let quoted = |prefix: &str| message.strip_prefix(prefix)?.split('`').next();
    if let Some(name) = quoted("missing field `") {
        return FieldProblem::new(name, "is required");
    }
    if let Some(name) = quoted("duplicate field `") {
        return FieldProblem::new(name, "is given more than once");
    }
    let expected =
        message.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
    if let Some(rest) = message.strip_prefix("unknown field `") {
        let name = rest.rsplit_once("`, ").map_or("", |(name, _)| name);
        let which = unknown_member(name, position);
        return FieldProblem::new("body", format!("has {which}; known: {expected}"));
    }
    let name = if path == "." { "body" } else { path };
    FieldProblem::new(name, format!("must be {expected}"))
}

/// Describes an unknown member: by its name if that is a short word, otherwise by its position. A
/// client that swaps names and values sends a password as a name.
fn unknown_member(name: &str, position: &str) -> String {
    let is_word = name.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if is_word && !name.is_empty() && name.len() <= MAX_QUOTED_BYTES {
        format!("the unknown member \"{name}\"")
    } else {
        format!("an unknown member at line {position}")
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Body {
        #[expect(dead_code, reason = "only parsing matters here")]
        email: String,
    }

    /// ID-04, ID-07, DS-06: the invalid member is named, and no value of the request is repeated.
    #[test]
    fn errors_name_the_member_and_repeat_no_value() {
        for (body, name, message) in [
            (r#"{"email":["s3cret"]}"#, "email", "must be a string"),
            (r#"{"email":7}"#, "email", "must be a string"),
            (r#"{"email":null}"#, "email", "must be a string"),
            ("{}", "email", "is required"),
            (r#"{"email":"a","email":"b"}"#, "email", "is given more than once"),
            (
                r#"{"email":"a","mail":1}"#,
                "body",
                "has the unknown member \"mail\"; known: `email`",
            ),
            (
                r#"{"email":"a","S3cret-word":1}"#,
                "body",
                "has an unknown member at line 1 column 26; known: `email`",
            ),
            (
                "{\"email\":\"a\",\n\"a`, \u{202e}\":1}",
                "body",
                "has an unknown member at line 2 column 9; known: `email`",
            ),
            (
                r#"{"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab":1}"#,
                "body",
                "has an unknown member at line 1 column 44; known: `email`",
            ),
            (r#"["a@example.com"]"#, "body", "must be a JSON object"),
            ("", "body", "must be a JSON object"),
            ("{", "body", "is not valid JSON"),
            (r#"{"email":"\ud800"}"#, "body", "is not valid JSON"),
            (r#"{"email":"a"}x"#, "body", "has trailing data after the JSON object"),
        ] {
            let problem = parse::<Body>(body.as_bytes()).unwrap_err();

            assert_eq!(format!("{problem:?}"), format!("{:?}", FieldProblem::new(name, message)));
        }
        assert!(parse::<Body>(b"{\"email\":\"\xff\"}").is_err());
        assert!(parse::<Body>("\u{feff} {\"email\":\"a\"}".as_bytes()).is_ok());
    }
}
