//! Reads any bytes as text, so that a JSON document can be split into its records although one of
//! them is not UTF-8, or has a control character.

use std::io::{self, Read};

/// A reader that returns each byte of another reader as one character in UTF-8. The number of the
/// character is the byte (ISO 8859-1), plus 256 if the byte is a control character other than tab,
/// line feed or carriage return. [`to_bytes`] is the inverse.
pub(super) struct BytesAsText<R> {
    inner: R,
    /// The second byte of the last character, if it has not been returned.
    second: Option<u8>,
}

impl<R> BytesAsText<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, second: None }
    }
}

impl<R: Read> Read for BytesAsText<R> {
    /// Returns one byte, because the parser of JSON reads byte by byte.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(place) = buffer.first_mut() else { return Ok(0) };
        if let Some(second) = self.second.take() {
            *place = second;
            return Ok(1);
        }
        let mut byte = [0];
        if self.inner.read(&mut byte)? == 0 {
            return Ok(0);
        }
        let mut character = [0; 2];
        let is_ascii = to_character(byte[0]).encode_utf8(&mut character).len() == 1;
        *place = character[0];
        self.second = (!is_ascii).then_some(character[1]);
        Ok(1)
    }
}

fn to_character(byte: u8) -> char {
    let is_kept = !byte.is_ascii_control() || b"\t\n\r".contains(&byte);
    let number = u32::from(byte) + if is_kept { 0 } else { 0x100 };
    char::from_u32(number).unwrap_or_default()
}

/// The bytes that the text was read from.
pub(super) fn to_bytes(text: &str) -> Vec<u8> {
    let byte = |character| u8::try_from(u32::from(character) & 0xff).unwrap_or_default();
    text.chars().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_become_text_and_are_recovered() {
        let bytes: Vec<u8> = (0..=255).collect();
        let mut text = String::new();

        BytesAsText::new(&bytes[..]).read_to_string(&mut text).unwrap();

        assert_eq!(to_bytes(&text), bytes);
        let controls = text.chars().filter(char::is_ascii_control);
        assert_eq!(controls.collect::<String>(), "\t\n\r");
    }
}
