"""The claims of a verified token."""

from dataclasses import dataclass, field

from signet_verifier.errors import MissingScope, NotThisUser


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of a token that passed every check; `Verifier.verify` returns it.

    It contains no secret, since the token itself is not stored. Times are seconds since 1970, UTC.
    """

    subject: str
    """`sub`: the account, or the client itself for client credentials."""
    user_id: str | None
    """The user whose token it is; `None` for a client credentials token."""
    client_id: str
    """The client that requested the token (RFC 9068 section 2.2)."""
    session_id: str | None
    """`sid`: the session for which the token was issued, if any."""
    scope: str
    """Values separated by spaces; empty if the claim is absent."""
    email: str | None = field(repr=False)
    """The email address at the time of issue. It may change: do not identify users by it."""
    token_id: str
    """`jti`: unique to this token."""
    issued_at: int
    """`iat`."""
    expires_at: int
    """`exp`; the leeway is not added."""
    auth_time: int | None
    """When the user last entered the password (RFC 9068 section 2.2.1)."""

    def is_user(self, user_id: str) -> bool:
        """Whether this is a token of this user. A client credentials token belongs to no user."""
        return self.user_id is not None and self.user_id == user_id

    def has_scope(self, scope: str) -> bool:
        """Whether `scope` lists exactly this value (RFC 6749 section 3.3)."""
        return scope != "" and scope in self.scope.split(" ")

    def require_user(self, user_id: str) -> None:
        """Raises `NotThisUser` (403) unless this is a token of this user. For paths with a user
        id."""
        if not self.is_user(user_id):
            raise NotThisUser("the token is not this user's")

    def require_scopes(self, *scopes: str) -> None:
        """Raises `MissingScope` (403) unless the token has all of these scopes."""
        if not all(map(self.has_scope, scopes)):
            raise MissingScope(scopes)
