package dev.signet.verifier;

import java.util.Arrays;
import java.util.Base64;

/** Canonical base64url: no padding, no white space, no spare bits (RFC 7515 section 2). */
final class Base64Url {

    private static final Base64.Decoder DECODER = Base64.getUrlDecoder();
    private static final Base64.Encoder ENCODER = Base64.getUrlEncoder().withoutPadding();

    private Base64Url() {}

    /**
     * Decodes canonical base64url.
     *
     * @throws IllegalArgumentException for anything else
     */
    static byte[] decode(byte[] part) {
        byte[] decoded = DECODER.decode(part);
        // The decoder accepts padding and spare bits. Encoding the result again detects this.
        if (!Arrays.equals(ENCODER.encode(decoded), part)) {
            throw new IllegalArgumentException("not canonical base64url");
        }
        return decoded;
    }
}
