//! The password hash parameters of a Firebase project.

use std::collections::BTreeMap;
use std::fmt;

use zeroize::Zeroizing;

/// The four parameters of Firebase's scrypt (<https://github.com/firebase/scrypt>).
#[derive(Clone)]
pub struct FirebaseHashConfig {
    signer_key: Zeroizing<String>,
    salt_separator: String,
    rounds: u32,
    memory_cost: u32,
}

/// A parameter is missing or not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the Firebase hash parameters have no valid {0}; the file must have the text of \"Password hash \
     parameters\" in the Firebase console: base64_signer_key, base64_salt_separator, rounds and \
     mem_cost"
)]
pub struct InvalidHashConfig(&'static str);

impl FirebaseHashConfig {
    /// Reads the text that the Firebase console shows: lines with a name, `:` or `=`, and a value.
    ///
    /// # Errors
    /// The first parameter that is missing or not valid.
    pub fn parse(text: &str) -> Result<Self, InvalidHashConfig> {
        let is_delimiter = |c: char| c == ',' || c == '"' || c == '\'' || c.is_whitespace();
        let values: BTreeMap<&str, &str> = text
            .lines()
            .filter_map(|line| line.split_once([':', '=']))
            .map(|(name, value)| {
                (name.trim_matches(is_delimiter), value.trim_matches(is_delimiter))
            })
            .collect();
        let get = |name| values.get(name).copied().ok_or(InvalidHashConfig(name));
        let base64 = |name| {
            let value = get(name)?;
            let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
            if value.chars().all(is_base64) { Ok(value) } else { Err(InvalidHashConfig(name)) }
        };
        let number = |name| get(name)?.parse().map_err(|_| InvalidHashConfig(name));
        Ok(Self {
            signer_key: Zeroizing::new(base64("base64_signer_key")?.to_owned()),
            salt_separator: base64("base64_salt_separator")?.to_owned(),
            rounds: number("rounds")?,
            memory_cost: number("mem_cost")?,
        })
    }

    /// A hash of this project in the notation of Supabase Auth, which contains the parameters.
    pub(super) fn notation(&self, salt: &str, hash: &str) -> String {
        let standard = |text: &str| text.replace('-', "+").replace('_', "/");
        format!(
            "$fbscrypt$v=1,n={},r={},p=1,ss={},sk={}${}${}",
            self.memory_cost,
            self.rounds,
            self.salt_separator,
            *self.signer_key,
            standard(salt),
            standard(hash)
        )
    }
}

/// The signer key is a secret.
impl fmt::Debug for FirebaseHashConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FirebaseHashConfig(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_the_firebase_console_shows_is_read() {
        let text = "hash_config {\n  algorithm: SCRYPT,\n  base64_signer_key: a+/b==,\n  \
                    base64_salt_separator: Bw==,\n  rounds: 8,\n  mem_cost: 14,\n}\n";

        let config = FirebaseHashConfig::parse(text).unwrap();

        let notation = config.notation("s-_t", "aGFzaA==");
        assert_eq!(notation, "$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk=a+/b==$s+/t$aGFzaA==");
        let missing = FirebaseHashConfig::parse(&text.replace("rounds", "round"));
        assert_eq!(missing.unwrap_err(), InvalidHashConfig("rounds"));
    }
}
