//! Describes to users what clients may do, and at which resource servers. The consent page and the
//! list of consents use the same words.

use url::Url;

use crate::config::ScopeDescriptions;
use crate::domain::oauth::audience;
use crate::domain::oauth::client::Client;
use crate::domain::oauth::consent::Consent;
use crate::http::app::App;
use crate::http::pages::layout;
use crate::http::texts::{self, Access};
use crate::scope::{Audiences, Scope};

/// What a client may do at the same resource servers, in words.
pub(super) struct Permission {
    /// The hosts of resource servers other than this service; may be empty.
    pub(super) hosts: Vec<String>,
    /// The permitted actions. Each continues the phrase “it may”.
    pub(super) items: Vec<String>,
}

impl Permission {
    /// The permissions of a scope at these audiences.
    pub(super) fn of(app: &App, scope: &Scope, audience: &Audiences) -> Self {
        Self::describe(&app.branding.scopes, scope, audience, &app.issuer_url)
    }

    fn describe(
        descriptions: &ScopeDescriptions,
        scope: &Scope,
        audience: &Audiences,
        issuer: &str,
    ) -> Self {
        let (own_audience, mut hosts) = (audience::of_userinfo(issuer), Vec::<String>::new());
        for host in audience.iter().filter(|it| *it != own_audience).map(host_of_audience) {
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        let texts = &texts::current().access;
        let items = scope.iter().map(|scope| text_of_scope(scope, descriptions, texts)).collect();
        Self { hosts, items }
    }

    /// Adds individual claims.
    pub(super) fn and(mut self, claims: &[String]) -> Self {
        let text_of = texts::current().access.claim;
        self.items.extend(claims.iter().map(|claim| text_of(claim).to_owned()));
        self
    }
}

/// The permissions of a consent. Audiences with the same scope are merged. Individual claims are
/// listed without a host, since the client itself gets them.
pub(super) fn permissions(app: &App, consent: &Consent) -> Vec<Permission> {
    let mut by_scope: Vec<(&Scope, Vec<&str>)> = Vec::new();
    for (audience, scope) in &consent.access {
        match by_scope.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, audiences)) => audiences.push(audience),
            None => by_scope.push((scope, vec![audience.as_str()])),
        }
    }
    let permissions = by_scope
        .into_iter()
        .map(|(scope, audiences)| Permission::of(app, scope, &audiences.into_iter().collect()));
    let mut permissions: Vec<_> = permissions.collect();
    if !consent.claims.is_empty() {
        let without_host = permissions.iter().position(|it| it.hosts.is_empty());
        let without_host = without_host.map(|at| permissions.remove(at));
        let without_host =
            without_host.unwrap_or_else(|| Permission { hosts: Vec::new(), items: Vec::new() });
        permissions.insert(0, without_host.and(&consent.claims));
    }
    permissions
}

/// The host of a client, which is the host of its first https redirect URI.
pub(super) fn host_of_client(client: &Client) -> String {
    let mut uris = client.redirect_uris.0.iter();
    match uris.find(|uri| uri.starts_with("https:")) {
        Some(uri) => layout::host_for_display(uri),
        None => texts::current().access.program_of_user.to_owned(),
    }
}

/// The host of an audience in ASCII, or the whole audience if it has no host. Look-alike letters
/// stay in Punycode. Neither user information before the host nor the path after it is shown.
fn host_of_audience(audience: &str) -> String {
    let url = Url::parse(audience).ok();
    url.as_ref().and_then(Url::host_str).unwrap_or(audience).to_owned()
}

fn text_of_scope(scope: &str, descriptions: &ScopeDescriptions, texts: &Access) -> String {
    match ((texts.scope)(scope), descriptions.of(scope)) {
        (Some(text), _) | (None, Some(text)) => text.to_owned(),
        (None, None) => (texts.use_scope)(scope),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;
    use crate::domain::language::Language;
    use crate::domain::profile;
    use crate::domain::sign_up_policy::SignUpPolicy;

    #[test]
    fn audience_is_shown_by_its_ascii_host() {
        for (audience, host) in [
            ("https://api.example.com", "api.example.com"),
            ("https://API.Example.com:8443/v1?x=y", "api.example.com"),
            ("https://bank.example@evil.example/", "evil.example"),
            ("https://evil.example/https://bank.example", "evil.example"),
            // Looks like “apple.com” in Cyrillic letters.
            ("https://xn--80ak6aa92e.com/", "xn--80ak6aa92e.com"),
            ("https://%62ank.example", "bank.example"),
            ("https://[2001:db8::1]/", "[2001:db8::1]"),
            ("http://localhost:9000/", "localhost"),
            ("com.example.app://tasks/x", "tasks"),
            ("urn:example:tasks", "urn:example:tasks"),
        ] {
            assert_eq!(host_of_audience(audience), host, "{audience}");
        }
    }

    /// A claim that is described as “something else” would allow no informed consent.
    #[test]
    fn each_requestable_claim_has_its_own_description() {
        let policy = SignUpPolicy::new(&Config::of(&[]).signup);
        let metadata = crate::http::oauth::metadata::document("https://id.example", &policy);
        let claims = metadata["claims_supported"].as_array().unwrap();
        let names = claims.iter().map(|claim| claim.as_str().unwrap());
        let names: Vec<_> = names.filter(|name| profile::scope_of(name).is_some()).collect();

        for language in Language::ALL {
            let text_of = texts::of(language).access.claim;
            let words: BTreeSet<_> = names.iter().map(|name| text_of(name)).collect();

            assert_eq!((names.len(), words.len()), (19, 19), "{language:?}");
            assert!(!words.contains(text_of("")), "{language:?}");
        }
    }

    #[test]
    fn each_audience_host_is_named_once_and_userinfo_is_not_named() {
        let issuer = "https://id.example";
        let userinfo = "https://id.example/oauth2/userinfo";
        let audience =
            [userinfo, "https://a.example/1", "https://a.example/2", "https://b.example"];

        let descriptions = ScopeDescriptions::default();
        let scope = Scope::parse("openid").unwrap();
        let of = |audiences: &[&str]| {
            let audiences = audiences.iter().copied().collect();
            Permission::describe(&descriptions, &scope, &audiences, issuer)
        };

        let permission = of(&audience);

        assert_eq!(permission.hosts, ["a.example", "b.example"]);
        assert!(of(&[userinfo]).hosts.is_empty());
        // A resource server may be identified by the issuer's URL.
        assert_eq!(of(&[issuer]).hosts, ["id.example"]);
    }
}
