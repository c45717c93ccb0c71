package dev.signet.verifier.junit;

import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.Signature;
import java.security.interfaces.RSAPublicKey;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;

/** A key for RS256 with its published key id. */
record SigningKey(String kid, KeyPair pair) {

    /** Generated once per test run, since each takes a tenth of a second or more. */
    private static final List<KeyPair> PAIRS = new ArrayList<>();

    /** Returns the key with this number, the same at each call. */
    static synchronized SigningKey numbered(int number) {
        while (PAIRS.size() <= number) {
            PAIRS.add(generate());
        }
        return new SigningKey("key-" + number, PAIRS.get(number));
    }

    /** Returns a key that is never published. */
    static KeyPair unpublished() {
        return generate();
    }

    String sign(Map<String, Object> header, Map<String, Object> claims) {
        String signed = encode(Json.of(header)) + "." + encode(Json.of(claims));
        try {
            Signature signature = Signature.getInstance("SHA256withRSA");
            signature.initSign(pair.getPrivate());
            signature.update(signed.getBytes(StandardCharsets.US_ASCII));
            return signed + "." + encode(signature.sign());
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }

    Map<String, Object> jwk() {
        BigInteger modulus = ((RSAPublicKey) pair.getPublic()).getModulus();
        byte[] octets = modulus.toByteArray(); // with a leading zero, since the highest bit of a modulus is set
        byte[] unsigned = Arrays.copyOfRange(octets, 1, octets.length);
        return Map.of("kty", "RSA", "kid", kid, "use", "sig", "alg", "RS256", "e", "AQAB", "n", encode(unsigned));
    }

    static String encode(byte[] data) {
        return Base64.getUrlEncoder().withoutPadding().encodeToString(data);
    }

    private static String encode(String text) {
        return encode(text.getBytes(StandardCharsets.UTF_8));
    }

    private static KeyPair generate() {
        try {
            KeyPairGenerator generator = KeyPairGenerator.getInstance("RSA");
            generator.initialize(2048);
            return generator.generateKeyPair();
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException(error);
        }
    }
}
