package dev.signet.verifier;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

/**
 * The compact form of a signed token (RFC 7515 section 3.1), parsed but not yet verified.
 *
 * @param kid the key id in the header
 * @param signed header and payload as sent: what the signature covers
 */
record Jws(Map<String, Object> header, String kid, Map<String, Object> payload, byte[] signed, byte[] signature) {

    /**
     * Header parameters that are refused with any value. {@code crit} and {@code b64} change how a
     * token is parsed; the others contain a key or its URL.
     */
    private static final List<String> FORBIDDEN = List.of("crit", "b64", "jwk", "jku", "x5c", "x5u");

    /** Parses a token; refuses it as {@code malformed} if any part violates the strict syntax. */
    static Jws parse(String token, int longest) {
        if (token == null || token.length() > longest) {
            throw new TokenRefusedException(RefusalCode.MALFORMED);
        }
        // Other characters than ASCII become invalid base64url.
        return parse(token.getBytes(StandardCharsets.ISO_8859_1), longest);
    }

    static Jws parse(byte[] token, int longest) {
        if (token.length > longest) {
            throw new TokenRefusedException(RefusalCode.MALFORMED);
        }
        try {
            int first = indexOfDot(token, 0);
            // A fourth part would leave a dot in the signature, which is not base64url.
            int second = indexOfDot(token, first + 1);
            Map<String, Object> header = StrictJson.object(decode(token, 0, first));
            Map<String, Object> payload = StrictJson.object(decode(token, first + 1, second));
            byte[] signature = decode(token, second + 1, token.length);
            if (!(header.get("kid") instanceof String kid) || kid.isEmpty()) {
                throw new IllegalArgumentException("names no key");
            }
            return new Jws(header, kid, payload, Arrays.copyOf(token, second), signature);
        } catch (IllegalArgumentException error) {
            throw new TokenRefusedException(RefusalCode.MALFORMED);
        }
    }

    /**
     * Checks the header, which may name a key of the key set but not contain one. Other parameters
     * are ignored, as RFC 7515 section 4 requires.
     *
     * @param types media types without {@code application/}, which a header may omit
     * @return the type in the header
     */
    String checkHeader(List<String> types) {
        if (FORBIDDEN.stream().anyMatch(header::containsKey)) {
            throw new TokenRefusedException(RefusalCode.FORBIDDEN_HEADER);
        }
        // The verifier chooses the algorithm, never the token (RFC 8725 section 3.1).
        if (!"RS256".equals(header.get("alg"))) {
            throw new TokenRefusedException(RefusalCode.UNSUPPORTED_ALGORITHM);
        }
        if (header.get("typ") instanceof String typ) {
            String lower = asciiLowerCase(typ);
            for (String type : types) {
                if (lower.equals(type) || lower.equals("application/" + type)) {
                    return type;
                }
            }
        }
        throw new TokenRefusedException(RefusalCode.WRONG_TYPE);
    }

    /**
     * Media types ignore the case of ASCII letters (RFC 7515 section 4.1.9). {@code toLowerCase}
     * would also turn the Kelvin sign into a k.
     */
    private static String asciiLowerCase(String text) {
        StringBuilder lower = new StringBuilder(text);
        for (int index = 0; index < lower.length(); index++) {
            char character = lower.charAt(index);
            if (character >= 'A' && character <= 'Z') {
                lower.setCharAt(index, (char) (character + ('a' - 'A')));
            }
        }
        return lower.toString();
    }

    private static int indexOfDot(byte[] token, int from) {
        for (int index = from; index < token.length; index++) {
            if (token[index] == '.') {
                return index;
            }
        }
        throw new IllegalArgumentException("less than three parts");
    }

    private static byte[] decode(byte[] token, int from, int to) {
        return Base64Url.decode(Arrays.copyOfRange(token, from, to));
    }
}
