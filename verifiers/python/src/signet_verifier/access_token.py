"""What a verified token says."""

from dataclasses import dataclass, field

from signet_verifier.errors import MissingScope, NotThisUser


@dataclass(frozen=True, slots=True)
class AccessToken:
    """The claims of a token that passed every check; `Verifier.verify` makes it.

    It holds no secret, since the token itself is not kept. Times are seconds since 1970, UTC.
    """

    subject: str
    """`sub`: the account, or the client itself for client credentials."""
    user_id: str | None
    """The person the token speaks for; `None` for a client's own token."""
    client_id: str
    """The client that asked for the token (RFC 9068 section 2.2)."""
    session_id: str | None
    """`sid`: the login it was issued in, if any."""
    scope: str
    """Values separated by spaces; empty if the claim is absent."""
    email: str | None = field(repr=False)
    """The address at the time of issue. It may change: never a key for anything."""
    token_id: str
    """`jti`: unique to this token."""
    issued_at: int
    """`iat`."""
    expires_at: int
    """`exp`; the leeway is not added."""
    auth_time: int | None
    """When the user gave the password (RFC 9068 section 2.2.1)."""

    def is_user(self, user_id: str) -> bool:
        """Whether the token speaks for this person. A client's own token speaks for nobody."""
        return self.user_id is not None and self.user_id == user_id

    def has_scope(self, scope: str) -> bool:
        """Whether `scope` lists exactly this value (RFC 6749 section 3.3)."""
        return scope != "" and scope in self.scope.split(" ")

    def require_user(self, user_id: str) -> None:
        """For paths that name a user: `NotThisUser`, to be answered 403, unless it is this one."""
        if not self.is_user(user_id):
            raise NotThisUser("the token is not this user's")

    def require_scopes(self, *scopes: str) -> None:
        """`MissingScope`, to be answered 403, unless the token has all of them."""
        if not all(map(self.has_scope, scopes)):
            raise MissingScope(scopes)
