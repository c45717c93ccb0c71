//! The parts of a PHC string of PBKDF2 and scrypt: `$function$name=value,…$salt$tag`.
//!
//! The PHC parser of the crate `argon2` refuses the short salts and long parameters that other
//! systems use, so these strings are split here.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose};

use crate::domain::password::unreadable::Unreadable;

/// Permitted lengths of a tag, in bytes. A wrong password would match a shorter tag by chance.
/// Every password would match an empty tag.
const TAG_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// Maximum length of a salt, in bytes.
const MAX_SALT_BYTES: usize = 128;

/// Accepts padding, which PHC strings do not have but other notations do.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The parts of a PHC string.
pub(super) struct Phc<'a> {
    /// The name of the function.
    pub(super) function: &'a str,
    parameters: &'a str,
    /// The salt.
    pub(super) salt: Vec<u8>,
    /// The tag, of 16 to 64 bytes.
    pub(super) tag: Vec<u8>,
}

impl<'a> Phc<'a> {
    /// Splits a string.
    pub(super) fn parse(text: &'a str) -> Result<Self, Unreadable> {
        let mut parts = text.split('$');
        let mut next = || parts.next().ok_or(Unreadable::Malformed);
        let (start, function, parameters) = (next()?, next()?, next()?);
        let (salt, tag) = (decode(next()?)?, decode(next()?)?);
        let is_valid = start.is_empty()
            && parts.next().is_none()
            && TAG_BYTES.contains(&tag.len())
            && salt.len() <= MAX_SALT_BYTES;
        if is_valid {
            Ok(Self { function, parameters, salt, tag })
        } else {
            Err(Unreadable::Malformed)
        }
    }

    /// The text of the parameter with this name. `None` if there is no such parameter.
    pub(super) fn text(&self, name: &str) -> Option<&'a str> {
        let mut named = self.parameters.split(',').filter_map(|it| it.split_once('='));
        named.find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// A parameter that is a positive number.
    pub(super) fn number(&self, name: &str) -> Result<u32, Unreadable> {
        let text = self.text(name).ok_or(Unreadable::Malformed)?;
        let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        let number = if is_decimal { text.parse().ok() } else { None };
        number.ok_or(Unreadable::Malformed)
    }
}

/// Decodes Base64 with or without padding.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Unreadable> {
    BASE64.decode(text).map_err(|_| Unreadable::Malformed)
}

/// Encodes Base64 without padding, as in PHC strings.
pub(super) fn encode(bytes: &[u8]) -> String {
    general_purpose::STANDARD_NO_PAD.encode(bytes)
}
