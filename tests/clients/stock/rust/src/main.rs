//! The flows on openidconnect. Prints a line for each: method of authentication, step, outcome.

use std::collections::HashMap;
use std::env;
use std::error::Error;
use std::io::stdin;

use openidconnect::core::{
    CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClaimName, CoreClaimType,
    CoreClient, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreGrantType,
    CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm,
    CoreResponseMode, CoreResponseType, CoreRevocableToken, CoreSubjectIdentifierType,
    CoreTokenResponse, CoreUserInfoClaims,
};
use openidconnect::reqwest::blocking::Client as Reqwest;
use openidconnect::reqwest::redirect::Policy;
use openidconnect::{
    AccessTokenHash, AdditionalProviderMetadata, AuthType, AuthorizationCode, ClientId,
    ClientSecret, CsrfToken, EndSessionUrl, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    HttpRequest, HttpResponse, IntrospectionUrl, IssuerUrl, LogoutRequest, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PostLogoutRedirectUrl, ProviderMetadata, RedirectUrl,
    RefreshToken, RequestTokenError, RevocationUrl, Scope, SubjectIdentifier, SyncHttpClient,
    TokenIntrospectionResponse, TokenResponse, url::Url,
};
use serde::{Deserialize, Serialize};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// What the test says.
#[derive(Deserialize)]
struct Arrangement {
    issuer: String,
    post_logout_redirect_uri: String,
    clients: Vec<Registered>,
}

#[derive(Deserialize)]
struct Registered {
    client_id: String,
    method: String,
    redirect_uri: String,
    secret: Option<String>,
}

/// The members of the metadata that openidconnect leaves to its users.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct FurtherEndpoints {
    introspection_endpoint: IntrospectionUrl,
    revocation_endpoint: RevocationUrl,
    end_session_endpoint: EndSessionUrl,
}

impl AdditionalProviderMetadata for FurtherEndpoints {}

type Metadata = ProviderMetadata<
    FurtherEndpoints,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointSet,
    EndpointSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// An HTTP client that does without TLS: openidconnect revokes tokens at `https` addresses alone.
struct Loopback(Reqwest);

impl SyncHttpClient for Loopback {
    type Error = <Reqwest as SyncHttpClient>::Error;

    fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, Self::Error> {
        let plain = request.uri().to_string().replacen("https:", "http:", 1);
        *request.uri_mut() = plain.parse().map_err(openidconnect::http::Error::from)?;
        self.0.call(request)
    }
}

fn main() -> Fallible<()> {
    let argument = env::args().nth(1).ok_or("usage: stock-client ARRANGEMENT")?;
    let arrangement: Arrangement = serde_json::from_str(&argument)?;
    let http = Loopback(Reqwest::builder().redirect(Policy::none()).build()?);
    let issuer = IssuerUrl::new(arrangement.issuer.clone())?;
    let metadata = Metadata::discover(&issuer, &http)?;
    for registered in &arrangement.clients {
        // openidconnect has no private_key_jwt.
        if registered.method != "private_key_jwt" {
            Flow { arrangement: &arrangement, metadata: &metadata, registered, http: &http }
                .run()?;
        }
    }
    Ok(())
}

struct Flow<'a> {
    arrangement: &'a Arrangement,
    metadata: &'a Metadata,
    registered: &'a Registered,
    http: &'a Loopback,
}

impl Flow<'_> {
    fn run(&self) -> Fallible<()> {
        let client = self.client()?;
        let denied = self.log_in(&client, "deny")?.err().ok_or("denied, and logged in")?;
        self.report(&format!("denied {denied}"));
        let (tokens, subject) = self.log_in(&client, "allow")??;
        self.report("logged_in");

        let id_token = tokens.id_token().ok_or("no ID token")?;
        let access_token = tokens.access_token().clone();
        let asked = client.user_info(access_token, Some(subject))?;
        let user: CoreUserInfoClaims = asked.request(self.http)?;
        let name = user.name().and_then(|name| name.get(None)).ok_or("no name")?;
        assert_eq!(name.as_str(), "Ada Lovelace");
        self.report(&format!("userinfo {}", user.email().ok_or("no address")?.as_str()));

        self.after_login(&client, tokens.refresh_token().ok_or("no refresh token")?)?;

        let home = &self.arrangement.post_logout_redirect_uri;
        let end_session = self.metadata.additional_metadata().end_session_endpoint.clone();
        let logout = LogoutRequest::from(end_session)
            .set_id_token_hint(id_token)
            .set_client_id(ClientId::new(self.registered.client_id.clone()))
            .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(home.clone())?)
            .set_state(CsrfToken::new("over".into()));
        let arrived = browse("allow", &logout.http_get_url())?;
        assert_eq!(arrived.as_str(), format!("{home}?state=over"));
        self.report("logged_out");
        Ok(())
    }

    fn client(&self) -> Fallible<Client> {
        let further = self.metadata.additional_metadata();
        let client = CoreClient::from_provider_metadata(
            self.metadata.clone(),
            ClientId::new(self.registered.client_id.clone()),
            self.registered.secret.clone().map(ClientSecret::new),
        );
        let revocation = further.revocation_endpoint.as_str().replacen("http:", "https:", 1);
        let auth_type = match self.registered.method.as_str() {
            "client_secret_basic" => AuthType::BasicAuth,
            _ => AuthType::RequestBody,
        };
        Ok(client
            .set_auth_type(auth_type)
            .set_redirect_uri(RedirectUrl::new(self.registered.redirect_uri.clone())?)
            .set_introspection_url(further.introspection_endpoint.clone())
            .set_revocation_url(RevocationUrl::new(revocation)?))
    }

    /// The tokens and whom they are about, or the error that the browser brought back.
    fn log_in(
        &self,
        client: &Client,
        decision: &str,
    ) -> Fallible<Result<(CoreTokenResponse, SubjectIdentifier), String>> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let scopes = ["profile", "email", "offline_access", "tasks:read"];
        let (url, state, nonce) = client
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(scopes.map(|scope| Scope::new(scope.into())))
            .add_prompt(CoreAuthPrompt::Consent)
            .set_pkce_challenge(challenge)
            .url();
        let arrived = browse(decision, &url)?;
        let mut answer: HashMap<_, _> = arrived.query_pairs().into_owned().collect();
        assert_eq!(answer.get("state"), Some(state.secret()));
        assert_eq!(answer.get("iss"), Some(&self.arrangement.issuer));
        let Some(code) = answer.remove("code") else {
            return Ok(Err(answer.remove("error").ok_or("neither code nor error")?));
        };
        let tokens = client
            .exchange_code(AuthorizationCode::new(code))?
            .set_pkce_verifier(verifier)
            .request(self.http)?;

        let id_token = tokens.id_token().ok_or("no ID token")?;
        let verifier = client.id_token_verifier();
        let claims = id_token.claims(&verifier, &nonce)?;
        let hash = AccessTokenHash::from_token(
            tokens.access_token(),
            id_token.signing_alg()?,
            id_token.signing_key(&verifier)?,
        )?;
        assert_eq!(claims.access_token_hash(), Some(&hash));
        assert!(claims.auth_time().is_some());
        let subject = claims.subject().clone();
        Ok(Ok((tokens, subject)))
    }

    fn after_login(&self, client: &Client, refresh_token: &RefreshToken) -> Fallible<()> {
        let is_public = self.registered.method == "none";
        let introspect = |tokens: &CoreTokenResponse| -> Fallible<()> {
            let state = client.introspect(tokens.access_token()).request(self.http)?;
            let word = if state.active() { "active" } else { "inactive" };
            self.report(&format!("introspected {word}"));
            Ok(())
        };
        let renewed = client.exchange_refresh_token(refresh_token)?.request(self.http)?;
        let next = renewed.refresh_token().ok_or("no refresh token")?;
        assert_ne!(next.secret(), refresh_token.secret());
        self.report("refreshed");
        if !is_public {
            introspect(&renewed)?;
        }
        client.revoke_token(CoreRevocableToken::RefreshToken(next.clone()))?.request(self.http)?;
        self.report("revoked");
        match client.exchange_refresh_token(next)?.request(self.http) {
            Err(RequestTokenError::ServerResponse(refusal)) => {
                let CoreErrorResponseType::InvalidGrant = refusal.error() else {
                    return Err(refusal.to_string().into());
                };
                self.report("refreshed invalid_grant");
            }
            Err(other) => return Err(other.into()),
            Ok(_) => return Err("revoked, and refreshed".into()),
        }
        if !is_public {
            introspect(&renewed)?;
            let own = client.exchange_client_credentials()?;
            let own = own.add_scope(Scope::new("tasks:read".into())).request(self.http)?;
            assert_eq!(own.scopes(), Some(&vec![Scope::new("tasks:read".into())]));
            self.report("client_credentials");
        }
        Ok(())
    }

    fn report(&self, words: &str) {
        println!("{} {words}", self.registered.method);
    }
}

/// Sends the person to an address. Returns the one where they arrived.
fn browse(decision: &str, url: &Url) -> Fallible<Url> {
    println!("{decision} {url}");
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(line.trim().parse()?)
}
