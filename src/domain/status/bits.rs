//! A list of one-bit statuses (draft-ietf-oauth-status-list section 4.1).

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::ZlibEncoder;

/// Compression level, chosen for a million entries of which one in a hundred is invalid. Level 8
/// would make the list 6 % smaller and take twice as long. Level 6 would make it 1 % larger and
/// take half as long.
const LEVEL: Compression = Compression::new(7);

/// Statuses of one bit each: 0 valid, 1 invalid. Entry 0 is the lowest bit of the first byte.
#[derive(Clone, PartialEq, Eq)]
pub struct Bits(Vec<u8>);

impl Bits {
    /// `entries` statuses, all valid.
    #[must_use]
    pub fn all_valid(entries: usize) -> Self {
        Self(vec![0; entries.div_ceil(8)])
    }

    /// `entries` statuses, all invalid.
    #[must_use]
    pub fn all_invalid(entries: usize) -> Self {
        Self(vec![0xff; entries.div_ceil(8)])
    }

    /// Marks an entry invalid. Returns false if the entry was already invalid, or is out of range.
    pub fn set(&mut self, index: usize) -> bool {
        let mask = 1 << (index % 8);
        match self.0.get_mut(index / 8) {
            Some(byte) if *byte & mask == 0 => {
                *byte |= mask;
                true
            }
            _ => false,
        }
    }

    /// The `lst` of a list: base64url of the bytes in the ZLIB format (RFC 1950).
    ///
    /// # Errors
    /// Only if writing to memory fails.
    pub fn to_lst(&self) -> io::Result<String> {
        let mut encoder = ZlibEncoder::new(Vec::new(), LEVEL);
        encoder.write_all(&self.0)?;
        Ok(URL_SAFE_NO_PAD.encode(encoder.finish()?))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::ZlibDecoder;

    use super::*;

    fn unpacked(lst: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let packed = URL_SAFE_NO_PAD.decode(lst).unwrap();
        ZlibDecoder::new(&*packed).read_to_end(&mut bytes).unwrap();
        bytes
    }

    /// MUST-185: the example of section 4.1, bit for bit.
    #[test]
    fn packing_agrees_with_the_example_of_the_draft() {
        let mut bits = Bits::all_valid(16);
        for index in [0, 3, 4, 5, 7, 8, 9, 13, 15] {
            assert!(bits.set(index));
        }

        assert_eq!(bits.0, [0xb9, 0xa3]);
        assert_eq!(unpacked(&bits.to_lst().unwrap()), unpacked("eNrbuRgAAhcBXQ"));
    }

    #[test]
    fn entry_is_set_once_and_only_within_the_list() {
        let mut bits = Bits::all_valid(16);

        assert!(bits.set(15));
        assert!(!bits.set(15));
        assert!(!bits.set(16) && !bits.set(usize::MAX));
        assert_eq!(bits.0, [0, 0x80]);
    }
}
