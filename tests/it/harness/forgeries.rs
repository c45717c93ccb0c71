//! Lists of forgeries of a valid token, for every endpoint that accepts tokens. Each differs from
//! the valid token in one property.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};

use crate::harness::TestServer;
use crate::harness::forge::{Forge, decode, encode, parts, sign_hmac};

/// A token that must be rejected, and its fault.
pub struct Forgery {
    pub fault: String,
    pub token: String,
}

/// A parsed valid token, and the key that signed it.
pub struct ValidToken {
    pub forge: Forge,
    pub header: Value,
    pub claims: Value,
}

fn forgery(fault: impl Into<String>, token: String) -> Forgery {
    Forgery { fault: fault.into(), token }
}

pub fn with_member(json: &Value, name: &str, value: Value) -> Value {
    let mut json = json.clone();
    json[name] = value;
    json
}

pub fn without_member(json: &Value, name: &str) -> Value {
    let mut json = json.clone();
    json.as_object_mut().unwrap().remove(name);
    json
}

impl ValidToken {
    pub async fn of(server: &TestServer, token: &str) -> Self {
        let forge = Forge::open(&server.database).await;
        let (header, claims) = parts(token);
        Self { forge, header, claims }
    }

    /// The same header and claims, signed again. Endpoints accept this token, so they reject the
    /// forgeries only because of their changes.
    pub fn unchanged(&self) -> String {
        self.forge.sign(&self.header, &self.claims)
    }

    fn header_with(&self, name: &str, value: Value) -> Value {
        with_member(&self.header, name, value)
    }

    fn with_header(&self, header: &Value) -> Forgery {
        forgery(header.to_string(), self.forge.sign(header, &self.claims))
    }

    fn with_claims(&self, claims: &Value) -> Forgery {
        forgery(claims.to_string(), self.forge.sign(&self.header, claims))
    }

    /// MUST-194, MUST-195, MUST-026: `none`, HMAC with public data as the secret, and other
    /// algorithms that the key supports.
    pub fn with_other_algorithms(&self, jwks: &[u8]) -> Vec<Forgery> {
        let Self { forge, header, claims } = self;
        let mut all = Vec::new();
        for alg in ["none", "None", "NONE", "nOnE", ""] {
            let header = self.header_with("alg", alg.into());
            let unsigned = format!("{}.{}", encode(header.to_string()), encode(claims.to_string()));
            let signed = forge.sign(&header, claims);
            let tokens =
                [signed, format!("{unsigned}."), unsigned.clone(), format!("{unsigned}.AA")];
            all.extend(tokens.map(|token| forgery(alg, token)));
        }
        let set: Value = serde_json::from_slice(jwks).unwrap();
        let key = set["keys"][0].to_string().into_bytes();
        for secret in forge.known_hmac_secrets().into_iter().chain([jwks.to_vec(), key]) {
            for alg in ["HS256", "RS256"] {
                let header = self.header_with("alg", alg.into());
                all.push(forgery(format!("HMAC as {alg}"), sign_hmac(&secret, &header, claims)));
            }
        }
        let pss = self.header_with("alg", "PS256".into());
        all.push(forgery("PS256", forge.sign_pss(&pss, claims)));
        all.push(forgery("PSS as RS256", forge.sign_pss(header, claims)));
        let rs512 = self.header_with("alg", "RS512".into());
        all.push(forgery("RS512", forge.sign_sha512(&rs512, claims)));
        all.push(forgery("RS512 as RS256", forge.sign_sha512(header, claims)));
        for alg in ["rs256", "Rs256", "RS256 ", "RS384", "RS512", "ES256", "EdDSA", "RSA-OAEP"] {
            all.push(self.with_header(&self.header_with("alg", alg.into())));
        }
        for alg in [json!(["RS256"]), json!(null), json!(256), json!({ "RS256": 1 })] {
            all.push(self.with_header(&self.header_with("alg", alg)));
        }
        all.push(self.with_header(&without_member(header, "alg")));
        all
    }

    /// MUST-196, MUST-197: tokens signed with another key, which has the `kid` of the server's key
    /// or is in the header; and tokens signed with the server's key, but with a wrong `kid`.
    pub fn with_other_keys_or_kids(&self, jwks: &Value) -> Vec<Forgery> {
        let Self { header, claims, .. } = self;
        let jwk = &jwks["keys"][0];
        let foreign = Forge::foreign();
        let embedded = with_member(&foreign.public_jwk(), "kid", header["kid"].clone());
        let mut all = vec![
            forgery("a foreign key", foreign.sign(header, claims)),
            forgery("its own key", foreign.sign(&with_member(header, "jwk", embedded), claims)),
        ];
        let long = "k".repeat(4_000);
        for kid in [
            json!("unknown"),
            json!(""),
            json!("../../../../dev/null"),
            json!("' UNION SELECT 'key' --"),
            json!("\u{0}"),
            json!(long),
            json!(jwk["kid"].as_str().unwrap().to_lowercase()),
            json!(7),
        ] {
            all.push(self.with_header(&self.header_with("kid", kid)));
        }
        all.push(self.with_header(&without_member(header, "kid")));
        all
    }

    /// MUST-196, MUST-198: headers that refer to keys or change how a token is processed.
    /// [`Self::with_other_types_or_crit`] contains an unknown critical extension.
    pub fn with_other_headers(&self, jwks: &Value) -> Vec<Forgery> {
        let others = [
            ("jwk", jwks["keys"][0].clone()),
            ("jku", "https://id.example.test/.well-known/jwks.json".into()),
            ("x5u", "https://id.example.test/certificate".into()),
            ("x5c", json!(["MIIB"])),
            ("crit", json!([])),
            ("b64", false.into()),
            ("b64", true.into()),
        ];
        others.map(|(name, value)| self.with_header(&self.header_with(name, value))).into()
    }

    /// MUST-141, MUST-198, MUST-203: another token type, an unknown type, or an unknown critical
    /// extension.
    pub fn with_other_types_or_crit(&self) -> Vec<Forgery> {
        let types = ["JWT", "at+jwt", "id+jwt", "logout+jwt", "statuslist+jwt", "at jwt"];
        let others = types.into_iter().map(Value::from).chain([Value::Null, json!(["at+jwt"])]);
        let others = others.filter(|typ| *typ != self.header["typ"]);
        let mut headers: Vec<_> = others.map(|typ| self.header_with("typ", typ)).collect();
        headers.push(without_member(&self.header, "typ"));
        headers.push(self.header_with("crit", json!(["exp"])));
        headers.push(with_member(&self.header_with("crit", json!(["x"])), "x", 1.into()));
        headers.iter().map(|header| self.with_header(header)).collect()
    }

    /// MUST-201: wrong issuers.
    pub fn with_wrong_issuers(&self) -> Vec<Forgery> {
        let others = [
            json!("https://other.example"),
            json!("https://id.example.test/"),
            json!("https://ID.example.test"),
            json!("http://id.example.test"),
            json!(["https://id.example.test"]),
            json!(null),
        ];
        others.map(|iss| self.with_claims(&with_member(&self.claims, "iss", iss))).into()
    }

    /// MUST-201: wrong audiences.
    pub fn with_wrong_audiences(&self) -> Vec<Forgery> {
        let others = [
            json!("https://other.example.test"),
            json!("https://id.example.test"),
            json!([]),
            json!(["https://api.example.test", 7]),
            json!({ "https://api.example.test": true }),
        ];
        others.map(|aud| self.with_claims(&with_member(&self.claims, "aud", aud))).into()
    }

    /// Unknown subjects and sessions.
    pub fn with_unknown_subjects_or_sessions(&self) -> Vec<Forgery> {
        let unknown_id = json!("00000000-0000-7000-8000-000000000000");
        let wrong = [
            ("sub", unknown_id.clone()),
            ("user_id", unknown_id.clone()),
            ("sid", unknown_id),
            ("sid", json!("' OR 1=1 --")),
            ("jti", json!(7)),
        ];
        wrong.map(|(name, value)| self.with_claims(&with_member(&self.claims, name, value))).into()
    }

    /// MUST-202, JW-02: malformed times.
    pub fn with_malformed_times(&self) -> Vec<Forgery> {
        let exp = self.claims["exp"].as_u64().unwrap();
        let mut all = Vec::new();
        for name in ["exp", "nbf", "iat"] {
            let valid = if name == "exp" { exp } else { exp - 24 * 60 * 60 };
            let fractions = [format!("{valid}.0"), format!("{valid}.5")];
            let fractions = fractions.map(|text| serde_json::from_str(&text).unwrap());
            let others = [
                json!(valid.to_string()),
                json!(-1),
                json!(1_u64 << 63),
                json!(1_u64 << 53),
                json!(u64::MAX),
                json!(1e300),
                json!(null),
                json!(true),
                json!([valid]),
            ];
            for time in others.into_iter().chain(fractions) {
                all.push(self.with_claims(&with_member(&self.claims, name, time)));
            }
        }
        for exp in ["1e400", "01", "+1", "0x7fffffff", "NaN"] {
            let text = self.claims.to_string();
            let altered =
                text.replace(&format!("\"exp\":{}", self.claims["exp"]), &format!("\"exp\":{exp}"));
            assert_ne!(text, altered);
            all.push(forgery(exp, self.forge.sign_text(&self.header.to_string(), &altered)));
        }
        all
    }

    /// Each lacks one required claim.
    pub fn without_a_required_claim(&self) -> Vec<Forgery> {
        let required = ["exp", "iat", "iss", "aud", "sub", "jti", "client_id", "sid", "user_id"];
        required.map(|name| self.with_claims(&without_member(&self.claims, name))).into()
    }

    /// MUST-199: duplicate names, which two parsers could read differently.
    pub fn with_duplicate_names(&self) -> Vec<Forgery> {
        let (header, claims) = (self.header.to_string(), self.claims.to_string());
        let first = |text: &str, member: &str| format!("{{{member},{}", &text[1..]);
        vec![
            forgery("alg twice", self.forge.sign_text(&first(&header, r#""alg":"none""#), &claims)),
            forgery(
                "kid twice",
                self.forge.sign_text(&first(&header, r#""kid":"other""#), &claims),
            ),
            forgery("sub twice", self.forge.sign_text(&header, &first(&claims, r#""sub":"x""#))),
            forgery("exp twice", self.forge.sign_text(&header, &first(&claims, r#""exp":1"#))),
        ]
    }
}

/// MUST-200, JW-07: changed bits, missing or extra parts, and other encodings of the token, which
/// lenient decoders would accept.
pub fn altered_or_reencoded(token: &str) -> Vec<Forgery> {
    let pieces: Vec<_> = token.split('.').collect();
    let [header, payload, signature] = [pieces[0], pieces[1], pieces[2]];
    let mut all = with_a_bit_flipped(&pieces);
    // The last character of a 256-byte signature has four unused bits, which must be zero.
    for other in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".chars() {
        all.push(format!("{}{other}", &token[..token.len() - 1]));
    }
    all.extend([
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}.{signature}"),
        format!("{token}="),
        format!("{token}=="),
        format!("{header}=.{payload}.{signature}"),
        format!("{header}. {payload}.{signature}"),
        format!("{header}.{payload} .{signature}"),
        format!("{header}.{payload}.\t{signature}"),
        format!("{token},{token}"),
        format!("\"{token}\""),
        format!("{header}.{payload}.{}", URL_SAFE.encode(decode(signature))),
        format!("{header}.{payload}.{}", &signature[..signature.len() - 1]),
        format!("{header}.{payload}.{signature}A"),
        format!("{header}.{payload}.{}", encode([&decode(signature)[..], &[0]].concat())),
        format!("{header}.{payload}.{}", encode([&[0], &decode(signature)[..]].concat())),
        format!("{header}.{payload}.{}", encode([0; 256])),
        format!("{header}.{}.{signature}", STANDARD.encode(decode(payload))),
        format!("{payload}.{header}.{signature}"),
        token.to_lowercase(),
        "..".to_owned(),
        ".".to_owned(),
    ]);
    all.retain(|other| other != token);
    all.into_iter().map(|token| forgery(token.clone(), token)).collect()
}

fn with_a_bit_flipped(pieces: &[&str]) -> Vec<String> {
    let positions = [(0, 3), (0, 9), (1, 0), (1, 40), (2, 0), (2, 100), (2, 255)];
    let flipped = positions.into_iter().flat_map(|(part, index)| {
        [1, 128].map(|bit| {
            let mut bytes = decode(pieces[part]);
            bytes[index] ^= bit;
            let encoded = encode(bytes);
            let mut altered = pieces.to_vec();
            altered[part] = &encoded;
            altered.join(".")
        })
    });
    flipped.collect()
}
