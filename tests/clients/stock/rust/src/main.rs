//! Runs the flows with openidconnect. Prints authentication method, step and outcome of each.

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

/// The parameters that the test passes.
#[derive(Deserialize)]
struct Parameters {
    issuer: String,
    post_logout_redirect_uri: String,
    clients: Vec<Registration>,
}

#[derive(Deserialize)]
struct Registration {
    client_id: String,
    method: String,
    redirect_uri: String,
    secret: Option<String>,
}

/// Members of the metadata that openidconnect's type does not have.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct AdditionalEndpoints {
    introspection_endpoint: IntrospectionUrl,
    revocation_endpoint: RevocationUrl,
    end_session_endpoint: EndSessionUrl,
}

impl AdditionalProviderMetadata for AdditionalEndpoints {}

type Metadata = ProviderMetadata<
    AdditionalEndpoints,
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

/// An HTTP client that replaces `https` with `http`, since openidconnect revokes tokens only at
/// `https` URLs.
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
    let argument = env::args().nth(1).ok_or("usage: stock-client PARAMETERS")?;
    let parameters: Parameters = serde_json::from_str(&argument)?;
    let http = Loopback(Reqwest::builder().redirect(Policy::none()).build()?);
    let issuer = IssuerUrl::new(parameters.issuer.clone())?;
    let metadata = Metadata::discover(&issuer, &http)?;
    for registration in &parameters.clients {
        // openidconnect does not support private_key_jwt.
        if registration.method != "private_key_jwt" {
            Flow { parameters: &parameters, metadata: &metadata, registration, http: &http }
                .run()?;
        }
    }
    Ok(())
}

struct Flow<'a> {
    parameters: &'a Parameters,
    metadata: &'a Metadata,
    registration: &'a Registration,
    http: &'a Loopback,
}

impl Flow<'_> {
    fn run(&self) -> Fallible<()> {
        let client = self.client()?;
        let denied =
            self.log_in(&client, "deny")?.err().ok_or("logged in although consent was denied")?;
        self.report(&format!("denied {denied}"));
        let (tokens, subject) = self.log_in(&client, "allow")??;
        self.report("logged_in");

        let id_token = tokens.id_token().ok_or("no ID token")?;
        let access_token = tokens.access_token().clone();
        let request = client.user_info(access_token, Some(subject))?;
        let user: CoreUserInfoClaims = request.request(self.http)?;
        let name = user.name().and_then(|name| name.get(None)).ok_or("no name")?;
        assert_eq!(name.as_str(), "Ada Lovelace");
        self.report(&format!("userinfo {}", user.email().ok_or("no email address")?.as_str()));

        self.after_login(&client, tokens.refresh_token().ok_or("no refresh token")?)?;

        let post_logout_uri = &self.parameters.post_logout_redirect_uri;
        let end_session = self.metadata.additional_metadata().end_session_endpoint.clone();
        let logout = LogoutRequest::from(end_session)
            .set_id_token_hint(id_token)
            .set_client_id(ClientId::new(self.registration.client_id.clone()))
            .set_post_logout_redirect_uri(PostLogoutRedirectUrl::new(post_logout_uri.clone())?)
            .set_state(CsrfToken::new("over".into()));
        let final_url = browse("allow", &logout.http_get_url())?;
        assert_eq!(final_url.as_str(), format!("{post_logout_uri}?state=over"));
        self.report("logged_out");
        Ok(())
    }

    fn client(&self) -> Fallible<Client> {
        let endpoints = self.metadata.additional_metadata();
        let client = CoreClient::from_provider_metadata(
            self.metadata.clone(),
            ClientId::new(self.registration.client_id.clone()),
            self.registration.secret.clone().map(ClientSecret::new),
        );
        let revocation = endpoints.revocation_endpoint.as_str().replacen("http:", "https:", 1);
        let auth_type = match self.registration.method.as_str() {
            "client_secret_basic" => AuthType::BasicAuth,
            _ => AuthType::RequestBody,
        };
        Ok(client
            .set_auth_type(auth_type)
            .set_redirect_uri(RedirectUrl::new(self.registration.redirect_uri.clone())?)
            .set_introspection_url(endpoints.introspection_endpoint.clone())
            .set_revocation_url(RevocationUrl::new(revocation)?))
    }

    /// The tokens and their subject, or the error of the authorization response.
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
        let final_url = browse(decision, &url)?;
        let mut response: HashMap<_, _> = final_url.query_pairs().into_owned().collect();
        assert_eq!(response.get("state"), Some(state.secret()));
        assert_eq!(response.get("iss"), Some(&self.parameters.issuer));
        let Some(code) = response.remove("code") else {
            return Ok(Err(response.remove("error").ok_or("neither code nor error")?));
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
        let is_public = self.registration.method == "none";
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
            Err(RequestTokenError::ServerResponse(error)) => {
                let CoreErrorResponseType::InvalidGrant = error.error() else {
                    return Err(error.to_string().into());
                };
                self.report("refreshed invalid_grant");
            }
            Err(other) => return Err(other.into()),
            Ok(_) => return Err("refreshed although the token was revoked".into()),
        }
        if !is_public {
            introspect(&renewed)?;
            let client_token = client.exchange_client_credentials()?;
            let client_token =
                client_token.add_scope(Scope::new("tasks:read".into())).request(self.http)?;
            assert_eq!(client_token.scopes(), Some(&vec![Scope::new("tasks:read".into())]));
            self.report("client_credentials");
        }
        Ok(())
    }

    fn report(&self, words: &str) {
        println!("{} {words}", self.registration.method);
    }
}

/// Sends the test's browser to a URL. Returns the browser's final URL.
fn browse(decision: &str, url: &Url) -> Fallible<Url> {
    println!("{decision} {url}");
    let mut line = String::new();
    stdin().read_line(&mut line)?;
    Ok(line.trim().parse()?)
}
