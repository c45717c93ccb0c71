//! Strict JSON parsing for tokens.
//!
//! Names are unique in a JOSE header, a claims set and a JWK (RFC 7515 §4, RFC 7519 §4, RFC 7517
//! §4). `serde_json`'s own maps silently ignore all but the last of several equal names, so two
//! parsers could read different subjects from the same token. Here a repeated name at any depth
//! makes the document invalid. Strings without escapes are borrowed from the input.

use std::borrow::Cow;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;
use serde::Deserializer;
use serde::de;
use serde::de::MapAccess;
use serde::de::SeqAccess;
use serde::de::Visitor;

/// If any crate of the build enables the feature `arbitrary_precision` of `serde_json`, a number is
/// passed as a map with this single name.
const ARBITRARY_PRECISION: &str = "$serde_json::private::Number";

/// Whether the feature is enabled. If not, such a map is an ordinary object, not a number. With the
/// feature, whole numbers may still be passed as numbers, but fractions are always passed as maps.
static NUMBERS_ARE_MAPS: LazyLock<bool> = LazyLock::new(|| {
    let half = &mut serde_json::Deserializer::from_str("0.5");
    half.deserialize_any(IsMap).unwrap_or_default()
});

struct IsMap;

impl<'de> Visitor<'de> for IsMap {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Ok(true)
    }
}

/// A JSON value, with only the distinctions that this crate needs.
pub(crate) enum Json<'a> {
    /// A number written without sign, fraction or exponent, below 2^64.
    Integer(u64),
    /// Any other number, except negative whole numbers.
    Fraction(f64),
    Text(Cow<'a, str>),
    List(Vec<Json<'a>>),
    Object(Object<'a>),
    /// `null`, a boolean, or a negative whole number.
    Other,
}

impl<'a> Json<'a> {
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(crate) fn as_object(&self) -> Option<&Object<'a>> {
        if let Self::Object(object) = self { Some(object) } else { None }
    }
}

/// The members of an object, sorted by name, no name twice.
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    /// Parses `json` as one object with nothing after it.
    ///
    /// Returns `None` if it is not an object, repeats a name at any depth, or is nested deeper than
    /// `serde_json` allows (128), which limits the use of the stack.
    pub(crate) fn parse(json: &'a [u8]) -> Option<Self> {
        match serde_json::from_slice(json) {
            Ok(Json::Object(object)) => Some(object),
            _ => None,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Json<'a>> {
        let at = self.0.binary_search_by(|(known, _)| known.as_ref().cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// The member `name` if it is a string.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.get(name)?.as_text()
    }

    /// Returns `None` if a name occurs twice.
    fn from_members(mut members: Vec<(Cow<'a, str>, Json<'a>)>) -> Option<Self> {
        members.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let repeated = members.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b));
        (!repeated).then_some(Self(members))
    }
}

impl<'de> Deserialize<'de> for Json<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated names")
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Json::Integer(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Json::Other)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Json::Fraction(value))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Json::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Json::Other)
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(Json::Text(Cow::Borrowed(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry()? {
            let Json::Text(name) = name else {
                return Err(de::Error::custom("a name is not a string"));
            };
            members.push((name, value));
        }
        // A document that contains such a map itself is read as if it contained the number.
        if let [(name, Json::Text(number))] = members.as_slice()
            && name == ARBITRARY_PRECISION
            && *NUMBERS_ARE_MAPS
        {
            let other = || number.parse().map_or(Json::Other, Json::Fraction);
            return Ok(number.parse().map_or_else(|_| other(), Json::Integer));
        }
        let object = Object::from_members(members);
        object.map(Json::Object).ok_or_else(|| de::Error::custom("a name occurs twice"))
    }
}

#[cfg(test)]
mod tests {
    use crate::json::ARBITRARY_PRECISION;
    use crate::json::Json;
    use crate::json::NUMBERS_ARE_MAPS;
    use crate::json::Object;

    #[test]
    fn duplicate_name_is_rejected_at_any_depth_and_in_any_spelling() {
        let cases = [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":3}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[0,{"a":1,"a":2}]}"#,
        ];
        for json in cases {
            assert!(Object::parse(json.as_bytes()).is_none(), "{json}");
        }
        assert!(Object::parse(br#"{"a":{"a":[{"a":1},{"a":1}]},"A":1}"#).is_some());
    }

    #[test]
    fn only_a_single_complete_object_is_accepted() {
        let nested = format!(r#"{{"a":{}{}}}"#, "[".repeat(2000), "]".repeat(2000));
        let cases = [
            &b""[..],
            b" ",
            b"null",
            b"[]",
            b"7",
            br#""a""#,
            b"{",
            b"{}{}",
            b"{} x",
            b"{a:1}",
            br#"{"a":1,}"#,
            br#"{"a":01}"#,
            br#"{"a":NaN}"#,
            b"\xef\xbb\xbf{}",
            b"{\"a\":\"\xff\"}",
            br#"{"a":"\ud800"}"#,
            nested.as_bytes(),
        ];
        for json in cases {
            assert!(Object::parse(json).is_none(), "{:?}", String::from_utf8_lossy(json));
        }
    }

    /// The exception is a build in which `serde_json` itself passes numbers this way.
    #[test]
    fn object_is_not_read_as_a_number() {
        for number in ["5", "0", "1.5"] {
            let json = format!(r#"{{"n":{{"{ARBITRARY_PRECISION}":"{number}"}}}}"#);
            let object = Object::parse(json.as_bytes()).unwrap();
            let is_object = object.get("n").unwrap().as_object().is_some();
            assert_eq!(is_object, !*NUMBERS_ARE_MAPS, "{json}");
        }
        let json = format!(r#"{{"{ARBITRARY_PRECISION}":"5"}}"#);
        assert_eq!(Object::parse(json.as_bytes()).is_some(), !*NUMBERS_ARE_MAPS);
    }

    #[test]
    fn only_a_plain_integer_literal_is_an_integer() {
        let value = |number: &str| {
            let json = format!(r#"{{"n":{number}}}"#);
            match Object::parse(json.as_bytes()).unwrap().get("n") {
                Some(Json::Integer(integer)) => Some(*integer),
                _ => None,
            }
        };

        assert_eq!(value("0"), Some(0));
        assert_eq!(value("18446744073709551615"), Some(u64::MAX));
        for other in ["-0", "-1", "1.0", "1e3", "1E3", "18446744073709551616", "1e300", "true"] {
            assert_eq!(value(other), None, "{other}");
        }
    }
}
