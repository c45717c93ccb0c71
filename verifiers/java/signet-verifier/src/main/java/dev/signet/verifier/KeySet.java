package dev.signet.verifier;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The usable keys of a JWK set (RFC 7517 section 5), imported once, by {@code kid}. */
record KeySet(Map<String, PublicKey> keys) {

    /** In bytes; Signet's key sets have a few thousand. */
    static final int LARGEST = 256 * 1024;

    /**
     * RFC 7518 section 3.3 sets the lower bound; the upper bound limits a check to a millisecond.
     */
    private static final int LEAST_BITS = 2048;
    private static final int MOST_BITS = 8192;

    /** 65537, as in every key of Signet. */
    private static final String EXPONENT = "AQAB";

    /**
     * Reads a JWK set. Unusable keys are ignored, so that the issuer may add keys of other kinds.
     * The result may be empty.
     *
     * @throws IllegalArgumentException if it is not a JWK set, or if two usable keys share a {@code
     * kid}: a token would not identify the key that signed it
     */
    static KeySet parse(byte[] document) {
        if (document.length > LARGEST || !(StrictJson.object(document).get("keys") instanceof List<?> entries)) {
            throw new IllegalArgumentException("not a key set");
        }
        Map<String, PublicKey> keys = new HashMap<>();
        for (Object entry : entries) {
            PublicKey key = entry instanceof Map<?, ?> jwk ? usable(jwk) : null;
            if (key != null && keys.put((String) ((Map<?, ?>) entry).get("kid"), key) != null) {
                throw new IllegalArgumentException("two keys of the set have the same kid");
            }
        }
        return new KeySet(keys);
    }

    /** Returns a key for RS256, or null. Private members are never read. */
    private static PublicKey usable(Map<?, ?> jwk) {
        boolean isForRs256 = "RSA".equals(jwk.get("kty"))
                && EXPONENT.equals(jwk.get("e"))
                && isAbsentOr("RS256", jwk, "alg")
                && isAbsentOr("sig", jwk, "use")
                && (!jwk.containsKey("key_ops") || jwk.get("key_ops") instanceof List<?> uses && uses.contains("verify"));
        if (!isForRs256
                || !(jwk.get("kid") instanceof String kid)
                || kid.isEmpty()
                || !(jwk.get("n") instanceof String n)) {
            return null;
        }
        BigInteger modulus = modulus(n);
        try {
            return modulus == null ? null : new PublicKey(modulus);
        } catch (GeneralSecurityException error) {
            return null;
        }
    }

    private static boolean isAbsentOr(String value, Map<?, ?> jwk, String name) {
        return !jwk.containsKey(name) || value.equals(jwk.get(name));
    }

    /**
     * Counts bits, not bytes, and accepts only the shortest encoding (RFC 7518 section 2);
     * otherwise null.
     */
    private static BigInteger modulus(String n) {
        byte[] octets;
        try {
            octets = Base64Url.decode(n.getBytes(StandardCharsets.ISO_8859_1));
        } catch (IllegalArgumentException error) {
            return null;
        }
        if (octets.length == 0 || octets[0] == 0) {
            return null;
        }
        BigInteger modulus = new BigInteger(1, octets);
        return modulus.bitLength() >= LEAST_BITS && modulus.bitLength() <= MOST_BITS ? modulus : null;
    }
}
