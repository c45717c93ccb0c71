package dev.signet.verifier;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.zip.DataFormatException;
import java.util.zip.Inflater;

/**
 * The statuses of many tokens (draft-ietf-oauth-status-list), packed with the lowest bits first.
 *
 * @param bits the number of bits per status: 1, 2, 4 or 8
 * @param expiresAt {@code exp}, after which the list must not be used; null if there is none
 * @param ttlSeconds the time after which the list is fetched again; null if it has none
 */
record StatusList(int bits, byte[] packed, Long expiresAt, Double ttlSeconds) {

    /** In bytes, as fetched. */
    static final int LARGEST = 2 * 1024 * 1024;

    /** In bytes; a million sessions take an eighth of this. */
    private static final int LARGEST_INFLATED = 1024 * 1024;

    private static final List<String> TYPES = List.of("statuslist+jwt");

    /** Parses a fetched list and checks its header, so that its key can be looked up. */
    static Jws parse(byte[] token) {
        Jws jws = Jws.parse(token, LARGEST);
        jws.checkHeader(TYPES);
        return jws;
    }

    /** Checks the claims of a list with a valid signature, and unpacks it. */
    static StatusList of(Map<String, Object> claims, String uri, Rules rules, Instant now) {
        if (!uri.equals(claims.get("sub"))) {
            throw TokenRefusedException.invalidClaim("sub");
        }
        if (claims.containsKey("iss") && !rules.issuer().equals(claims.get("iss"))) {
            throw new TokenRefusedException(RefusalCode.WRONG_ISSUER);
        }
        if (rules.isInTheFuture(Claims.seconds(claims, "iat"), now)) {
            throw new TokenRefusedException(RefusalCode.NOT_YET_VALID);
        }
        Long expiresAt = claims.containsKey("exp") ? Claims.seconds(claims, "exp") : null;
        if (expiresAt != null && rules.hasPassed(expiresAt, now)) {
            throw new TokenRefusedException(RefusalCode.EXPIRED);
        }
        Double ttl = claims.containsKey("ttl") ? aboveZero(claims.get("ttl")) : null;
        if (claims.get("status_list") instanceof Map<?, ?> list
                && list.get("bits") instanceof Long bits
                && List.of(1L, 2L, 4L, 8L).contains(bits)
                && list.get("lst") instanceof String lst) {
            return new StatusList(bits.intValue(), unpack(lst), expiresAt, ttl);
        }
        throw TokenRefusedException.invalidClaim("status_list");
    }

    /** 0 is valid, 1 revoked, 2 suspended; empty for an index beyond the end of the list. */
    OptionalInt status(long index) {
        int perByte = 8 / bits;
        long octet = index / perByte;
        if (octet >= packed.length) {
            return OptionalInt.empty();
        }
        int shift = (int) (index % perByte) * bits;
        return OptionalInt.of(packed[(int) octet] >> shift & (1 << bits) - 1);
    }

    private static double aboveZero(Object ttl) {
        if (ttl instanceof Number number && number.doubleValue() > 0) {
            return number.doubleValue();
        }
        throw TokenRefusedException.invalidClaim("ttl");
    }

    /** Inflates exactly one complete zlib stream (RFC 1950). */
    static byte[] unpack(String lst) {
        Inflater inflater = new Inflater();
        try {
            byte[] compressed = Base64Url.decode(lst.getBytes(StandardCharsets.ISO_8859_1));
            inflater.setInput(compressed);
            return inflate(inflater);
        } catch (DataFormatException | IllegalArgumentException error) {
            throw TokenRefusedException.invalidClaim("status_list");
        } finally {
            inflater.end(); // frees native memory
        }
    }

    /** Stops at the maximum size. */
    private static byte[] inflate(Inflater inflater) throws DataFormatException {
        ByteArrayOutputStream inflated = new ByteArrayOutputStream();
        byte[] piece = new byte[16 * 1024];
        while (!inflater.finished()) {
            int length = inflater.inflate(piece);
            // A truncated stream, or one that needs a dictionary, yields no more bytes.
            if (length == 0 && !inflater.finished()) {
                throw new DataFormatException("incomplete stream");
            }
            inflated.write(piece, 0, length);
            if (inflated.size() > LARGEST_INFLATED) {
                throw new DataFormatException("too large");
            }
        }
        if (inflater.getRemaining() > 0) {
            throw new DataFormatException("data follows the stream");
        }
        return inflated.toByteArray();
    }
}
