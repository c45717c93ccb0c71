package dev.signet.verifier;

import static dev.signet.verifier.Outcome.ACCEPTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Access tokens with {@code typ} {@code JWT}, for audiences for which Signet signs such tokens. */
class TypJwtTest {

    private final FakeSignet signet = new FakeSignet();
    private final SignetVerifier accepting = signet.builder().acceptTypJwt(true).build();

    @Test
    void typJwtIsAcceptedOnlyIfEnabled() {
        String token = typJwt(Map.of());
        assertEquals("wrong_type", Outcome.of(signet.verifier(), token));
        assertEquals(0, signet.requests.size());

        assertEquals(ACCEPTED, Outcome.of(accepting, token));
        assertEquals(ACCEPTED, Outcome.of(accepting, signet.token()));
    }

    @Test
    void tokenWithTypJwtCanBeRevoked() {
        signet.revoke(3);

        assertEquals("revoked", Outcome.of(accepting, typJwt(Map.of())));
    }

    @ParameterizedTest
    @ValueSource(strings = {"client_id", "jti", "scope"})
    void errorNamesTheMissingClaim(String claim) {
        String token = typJwt(FakeSignet.without(claim));

        TokenRefusedException refusal = assertThrows(TokenRefusedException.class, () -> accepting.verify(token));

        assertEquals("invalid_claim (" + claim + ")", refusal.getMessage());
        assertEquals(claim, refusal.claim().orElseThrow());
    }

    @ParameterizedTest
    @ValueSource(strings = {"nonce", "at_hash"})
    void idTokenClaimsAreRefusedAsTheWrongType(String claim) {
        assertEquals("wrong_type", Outcome.of(accepting, typJwt(Map.of(claim, "AAAA"))));
        assertEquals(ACCEPTED, Outcome.of(accepting, signet.token(Map.of(claim, "AAAA"))));
    }

    private String typJwt(Map<String, ?> changes) {
        return signet.token("first", Map.of("typ", "JWT"), changes);
    }
}
