//! The fields of the profile form: one for each claim that the owner of an account can set.

use serde_json::{Map, Value};

use crate::domain::language::Language;
use crate::http::texts::Profile;

/// How a field is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// One line.
    Line,
    /// Several lines.
    Lines,
    /// A URL.
    Url,
    /// A telephone number.
    Phone,
    /// One of the languages in [`languages`].
    Language,
}

/// A field. Its label and its hint are in [`Profile`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    /// The name of the claim. A member of the claim `address` has a name such as
    /// `address.locality`.
    pub(super) name: &'static str,
    /// The autofill field name (HTML, "Autofill"); `off` if there is none.
    pub(super) autofill: &'static str,
    pub(super) input: Input,
}

/// A heading in a language.
type Heading = fn(&Profile) -> &'static str;

/// The fields in groups, each with its heading.
pub(super) const GROUPS: [(Heading, &[Field]); 4] = [
    (
        |texts| texts.names,
        &[
            line("name", "name"),
            line("given_name", "given-name"),
            line("middle_name", "additional-name"),
            line("family_name", "family-name"),
            line("nickname", "nickname"),
            line("preferred_username", "off"),
        ],
    ),
    (
        |texts| texts.language_and_zone,
        &[Field { input: Input::Language, ..line("locale", "off") }, line("zoneinfo", "off")],
    ),
    (
        |texts| texts.about_you,
        &[
            line("gender", "sex"),
            line("birthdate", "bday"),
            Field { input: Input::Url, ..line("website", "url") },
            Field { input: Input::Url, ..line("profile", "off") },
            Field { input: Input::Url, ..line("picture", "photo") },
        ],
    ),
    (
        |texts| texts.phone_and_address,
        &[
            Field { input: Input::Phone, ..line("phone_number", "tel") },
            Field { input: Input::Lines, ..line("address.street_address", "street-address") },
            line("address.postal_code", "postal-code"),
            line("address.locality", "address-level2"),
            line("address.region", "address-level1"),
            line("address.country", "country-name"),
            Field { input: Input::Lines, ..line("address.formatted", "off") },
        ],
    ),
];

/// A field of one line.
const fn line(name: &'static str, autofill: &'static str) -> Field {
    Field { name, autofill, input: Input::Line }
}

/// The languages that can be chosen: those of the pages and mails, each with its name in that
/// language. The API accepts any language tag.
pub(super) fn languages() -> [(&'static str, &'static str); 2] {
    Language::ALL.map(|language| {
        let name = match language {
            Language::En => "English",
            Language::De => "Deutsch",
        };
        (language.tag(), name)
    })
}

/// The name of a language in that language; the tag itself if the language cannot be chosen.
pub(super) fn language_name(tag: &str) -> &str {
    languages().into_iter().find(|(known, _)| *known == tag).map_or(tag, |(_, name)| name)
}

/// All fields.
pub(super) fn all() -> impl Iterator<Item = &'static Field> {
    GROUPS.iter().flat_map(|(_, fields)| fields.iter())
}

impl Field {
    /// The `id` of the element.
    pub(super) fn id(&self) -> String {
        self.name.replace('.', "-")
    }

    /// The value in a profile; empty if the profile lacks the claim.
    pub(super) fn value_in(&self, claims: &Map<String, Value>) -> String {
        let value = match self.name.split_once('.') {
            Some((claim, member)) => claims.get(claim).and_then(|claim| claim.get(member)),
            None => claims.get(self.name),
        };
        value.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// Sets the value in a merge patch (RFC 7396). An empty value removes the claim.
    pub(super) fn set_in(&self, patch: &mut Map<String, Value>, value: &str) {
        let value = if value.trim().is_empty() { Value::Null } else { Value::from(value) };
        match self.name.split_once('.') {
            Some((claim, member)) => {
                let claim = patch.entry(claim).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(members) = claim {
                    members.insert(member.to_owned(), value);
                }
            }
            None => drop(patch.insert(self.name.to_owned(), value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::profile;
    use crate::http::texts;

    /// A claim that is added later must get a field.
    #[test]
    fn each_claim_of_a_profile_has_a_field() {
        let names: Vec<_> = all().map(|field| field.name).collect();

        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
        let mut expected: Vec<_> = profile::names();
        let mut names: Vec<_> = names.into_iter().map(str::to_owned).collect();
        expected.sort();
        names.sort();
        assert_eq!(names, expected);
    }

    #[test]
    fn each_field_has_a_label_in_each_language() {
        for (field, language) in all().flat_map(|it| Language::ALL.map(|language| (it, language))) {
            let label = (texts::of(language).profile.label)(field.name);
            assert_ne!(label, "", "{} {language:?}", field.name);
        }
    }
}
