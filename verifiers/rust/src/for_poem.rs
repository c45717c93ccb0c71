//! [`AccessToken`] as a poem extractor, and errors as poem responses.

use poem::FromRequest;
use poem::Request;
use poem::RequestBody;
use poem::Response;
use poem::Result;
use poem::error::ResponseError;
use poem::http::StatusCode;
use poem::web::Data;

use crate::access_token::AccessToken;
use crate::denied;
use crate::denied::Denied;
use crate::error::MissingScope;
use crate::error::NotThisUser;
use crate::remote::RemoteVerifier;

/// Takes the verifier from the route's data.
impl<'a> FromRequest<'a> for AccessToken {
    async fn from_request(request: &'a Request, _: &mut RequestBody) -> Result<Self> {
        let Data(verifier) = Data::<&RemoteVerifier>::from_request_without_body(request).await?;
        Ok(denied::authenticate(request.headers(), verifier).await?)
    }
}

impl ResponseError for Denied {
    fn status(&self) -> StatusCode {
        self.answer().0
    }

    fn as_response(&self) -> Response {
        let (status, headers, body) = self.answer();
        let mut response = Response::builder().status(status).body(body);
        response.headers_mut().extend(headers);
        response
    }
}

impl ResponseError for MissingScope {
    fn status(&self) -> StatusCode {
        StatusCode::FORBIDDEN
    }

    fn as_response(&self) -> Response {
        Denied::from(self.clone()).as_response()
    }
}

impl ResponseError for NotThisUser {
    fn status(&self) -> StatusCode {
        StatusCode::FORBIDDEN
    }

    fn as_response(&self) -> Response {
        Denied::from(*self).as_response()
    }
}
