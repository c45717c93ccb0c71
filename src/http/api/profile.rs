//! The standard claims of OpenID Connect as members of an account: in responses, and as a patch.

use poem_openapi::Object;
use poem_openapi::types::{MaybeUndefined, ToJSON};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::domain::profile::{InvalidClaim, Profile, ProfilePatch};
use crate::http::error::{FieldProblem, Problem};
use crate::http::json::object_or_null;

/// A claim: absent, null (removed by a patch), or a value.
type Claim<T = String> = MaybeUndefined<T>;

/// The standard claims (OpenID Connect Core 1.0 §5.1), set by the user. None of them is verified.
#[derive(Default, Object, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ProfileBody {
    /// The full name in displayable form.
    #[oai(validator(min_length = 1, max_length = 255))]
    name: Claim,
    /// Given names.
    #[oai(validator(min_length = 1, max_length = 255))]
    given_name: Claim,
    /// Family names.
    #[oai(validator(min_length = 1, max_length = 255))]
    family_name: Claim,
    /// Middle names.
    #[oai(validator(min_length = 1, max_length = 255))]
    middle_name: Claim,
    /// The casual name.
    #[oai(validator(min_length = 1, max_length = 255))]
    nickname: Claim,
    /// A short display name; not unique, and not usable for login.
    #[oai(validator(min_length = 1, max_length = 255))]
    preferred_username: Claim,
    /// The `http` or `https` URL of a page about the person.
    #[oai(validator(max_length = 2048))]
    profile: Claim,
    /// The `http` or `https` URL of an image of the person.
    #[oai(validator(max_length = 2048))]
    picture: Claim,
    /// The `http` or `https` URL of the person's website.
    #[oai(validator(max_length = 2048))]
    website: Claim,
    /// `female`, `male`, or another value.
    #[oai(validator(min_length = 1, max_length = 255))]
    gender: Claim,
    /// `YYYY-MM-DD`, where the year 0000 means that no year is given; or `YYYY`.
    birthdate: Claim,
    /// A name from the time zone database, such as `Europe/London`.
    #[oai(validator(max_length = 64))]
    zoneinfo: Claim,
    /// A language tag (RFC 5646), such as `en-GB`.
    #[oai(validator(max_length = 64))]
    locale: Claim,
    /// A telephone number as `+` and digits (E.164).
    phone_number: Claim,
    // Has no doc comment, because poem-openapi would write `allOf` for one. The description is on
    // the type.
    #[serde(deserialize_with = "object_or_null")]
    address: Claim<AddressBody>,
}

/// A postal address (OpenID Connect Core 1.0 §5.1.1).
#[derive(Default, Object, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AddressBody {
    /// The full address, with line breaks.
    #[oai(validator(min_length = 1, max_length = 1024))]
    formatted: Claim,
    /// Street, house number, P.O. box; may contain line breaks.
    #[oai(validator(min_length = 1, max_length = 1024))]
    street_address: Claim,
    /// City.
    #[oai(validator(min_length = 1, max_length = 255))]
    locality: Claim,
    /// State, province, prefecture.
    #[oai(validator(min_length = 1, max_length = 255))]
    region: Claim,
    /// Postal code.
    #[oai(validator(min_length = 1, max_length = 255))]
    postal_code: Claim,
    /// Country.
    #[oai(validator(min_length = 1, max_length = 255))]
    country: Claim,
}

impl ProfileBody {
    /// The claims of `profile`, for a response.
    pub(super) fn of(profile: Profile) -> Self {
        serde_json::from_value(Value::Object(profile.into_claims())).unwrap_or_default()
    }

    /// The members that are not absent.
    fn members(&self) -> Map<String, Value> {
        match self.to_json() {
            Some(Value::Object(members)) => members,
            _ => Map::new(),
        }
    }

    /// Converts the body to a patch; fails if it is empty or a value is invalid.
    pub(super) fn to_patch(&self) -> Result<ProfilePatch, Problem> {
        let members = self.members();
        if members.is_empty() {
            return Err(Problem::invalid("body", "must have a member to change"));
        }
        ProfilePatch::parse(&members).map_err(|problems| {
            let field = |it: &InvalidClaim| FieldProblem::new(&it.name, it.error.to_string());
            Problem::validation(problems.iter().map(field).collect())
        })
    }
}

/// Writes the members that are not absent.
impl Serialize for ProfileBody {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.members().serialize(serializer)
    }
}
