package dev.signet.verifier;

/** The result of a verification as one word. */
final class Outcome {

    static final String ACCEPTED = "accepted";

    private Outcome() {}

    static String of(SignetVerifier verifier, String token) {
        try {
            verifier.verify(token);
            return ACCEPTED;
        } catch (VerificationException error) {
            return error.code().toString();
        }
    }
}
