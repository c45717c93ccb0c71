package dev.signet.verifier;

import java.util.Optional;

/** The token is invalid. Respond with 401 {@code invalid_token} (RFC 6750 section 3.1). */
public final class TokenRefusedException extends VerificationException {

    private final String claim;

    TokenRefusedException(RefusalCode code) {
        this(code, null);
    }

    private TokenRefusedException(RefusalCode code, String claim) {
        super(code, claim == null ? code.toString() : code + " (" + claim + ")", null);
        this.claim = claim;
    }

    static TokenRefusedException invalidClaim(String name) {
        return new TokenRefusedException(RefusalCode.INVALID_CLAIM, name);
    }

    /** The claim that is missing or wrong, if the code is {@link RefusalCode#INVALID_CLAIM}. */
    public Optional<String> claim() {
        return Optional.ofNullable(claim);
    }
}
