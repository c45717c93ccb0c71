//! Declares the error responses that the OpenAPI document lists for an operation, and converts
//! domain errors to [`Problem`]s.

use poem::http::StatusCode;
use poem_openapi::payload::Payload;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses};

use crate::domain::account::SignUpError;
use crate::domain::attempt_limit::AttemptError;
use crate::domain::email_confirmation::ConfirmError;
use crate::domain::email_verification::RequestError;
use crate::domain::password::Weakness;
use crate::domain::password_reset::ResetError;
use crate::domain::reauthentication::ReauthenticationError;
use crate::domain::refresh::RefreshError;
use crate::domain::session::LogInError;
use crate::domain::session::listing::SelfServiceError;
use crate::domain::sign_up_policy::SignUpRefusal;
use crate::domain::token::SigningError;
use crate::http::error::{FieldProblem, Problem};

/// Declares types for the failures of operations, each with its documented statuses. Any error that
/// converts to a [`Problem`] also converts to each of these types.
macro_rules! failures {
    ($($visibility:vis $name:ident { $($status:ident $description:literal)+ })+) => {$(
        $visibility struct $name(crate::http::error::Problem);

        impl<E> From<E> for $name
        where
            crate::http::error::Problem: From<E>,
        {
            fn from(error: E) -> Self {
                Self(error.into())
            }
        }

        impl From<$name> for poem::Error {
            fn from($name(problem): $name) -> Self {
                problem.into()
            }
        }

        impl poem_openapi::ApiResponse for $name {
            fn meta() -> poem_openapi::registry::MetaResponses {
                crate::http::api::failures::documented(&[
                    $((poem::http::StatusCode::$status, $description)),+
                ])
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                <crate::http::error::Problem as poem_openapi::payload::Payload>::register(registry);
            }
        }
    )+};
}
pub(super) use failures;

/// The OpenAPI responses for these statuses.
pub(super) fn documented(failures: &[(StatusCode, &'static str)]) -> MetaResponses {
    let response = |&(status, description): &(StatusCode, _)| MetaResponse {
        description,
        status: Some(status.as_u16()),
        status_range: None,
        content: vec![MetaMediaType {
            content_type: Problem::CONTENT_TYPE,
            schema: Problem::schema_ref(),
        }],
        headers: Vec::new(),
    };
    MetaResponses { responses: failures.iter().map(response).collect() }
}

/// The weaknesses of the password in `member`, as errors of this member.
pub(super) fn weaknesses_of(member: &str, weaknesses: &[Weakness]) -> Vec<FieldProblem> {
    weaknesses.iter().map(|weakness| FieldProblem::new(member, weakness.to_string())).collect()
}

impl From<AttemptError> for Problem {
    fn from(error: AttemptError) -> Self {
        match error {
            AttemptError::Refused(refusal) => Self::rate_limited(refusal),
            AttemptError::Database(_) => Self::failed(&error),
        }
    }
}

impl From<SigningError> for Problem {
    fn from(error: SigningError) -> Self {
        Self::failed(&error)
    }
}

impl From<SignUpError> for Problem {
    fn from(error: SignUpError) -> Self {
        match error {
            SignUpError::EmailExists => Self::email_exists(),
            SignUpError::InvalidInvite => Self::invalid_invite(),
            SignUpError::Hashing(_) | SignUpError::Status(_) | SignUpError::Database(_) => {
                Self::failed(&error)
            }
        }
    }
}

impl From<SignUpRefusal> for Problem {
    fn from(refusal: SignUpRefusal) -> Self {
        match refusal {
            SignUpRefusal::Closed => Self::signup_closed(),
            SignUpRefusal::InviteRequired => Self::invite_required(),
            SignUpRefusal::DomainNotAllowed => Self::signup_domain_not_allowed(),
        }
    }
}

impl From<LogInError> for Problem {
    fn from(error: LogInError) -> Self {
        match error {
            LogInError::Refused => Self::auth_failed(),
            LogInError::EmailNotVerified(_) => Self::email_not_verified(),
            LogInError::Changed
            | LogInError::Hashing(_)
            | LogInError::Status(_)
            | LogInError::Database(_) => Self::failed(&error),
        }
    }
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Rejected => Self::invalid_refresh_token(),
            RefreshError::Database(_) => Self::failed(&error),
        }
    }
}

impl From<ReauthenticationError> for Problem {
    fn from(error: ReauthenticationError) -> Self {
        match error {
            ReauthenticationError::NotLoggedIn => Self::invalid_token(),
            ReauthenticationError::Refused => Self::auth_failed(),
            ReauthenticationError::Changed
            | ReauthenticationError::Hashing(_)
            | ReauthenticationError::Status(_)
            | ReauthenticationError::Database(_) => Self::failed(&error),
        }
    }
}

impl From<ResetError> for Problem {
    fn from(error: ResetError) -> Self {
        match error {
            ResetError::NoAccount | ResetError::Rejected => Self::invalid_reset_token(),
            ResetError::Weak(weaknesses) => {
                Self::validation(weaknesses_of("new_password", &weaknesses))
            }
            ResetError::Token(_) | ResetError::Hashing(_) | ResetError::Database(_) => {
                Self::failed(&error)
            }
        }
    }
}

impl From<ConfirmError> for Problem {
    fn from(error: ConfirmError) -> Self {
        match error {
            ConfirmError::Rejected => Self::invalid_verification_token(),
            ConfirmError::WrongPassword => Self::auth_failed(),
            ConfirmError::Hashing(_) | ConfirmError::Database(_) => Self::failed(&error),
        }
    }
}

impl From<RequestError> for Problem {
    fn from(error: RequestError) -> Self {
        Self::failed(&error)
    }
}

impl From<SelfServiceError> for Problem {
    fn from(error: SelfServiceError) -> Self {
        match error {
            SelfServiceError::NotLoggedIn => Self::invalid_token(),
            SelfServiceError::NotFound => Self::no_such_session(),
            SelfServiceError::Database(_) => Self::failed(&error),
        }
    }
}
