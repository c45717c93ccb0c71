package dev.signet.verifier;

import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.InvalidKeyException;
import java.security.KeyFactory;
import java.security.NoSuchAlgorithmException;
import java.security.Signature;
import java.security.SignatureException;
import java.security.spec.RSAPublicKeySpec;

/** An RSA key for RS256 signatures only: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3). */
final class PublicKey {

    /** 65537. If any exponent were accepted, an exponent of 1 would make forging easy. */
    private static final BigInteger EXPONENT = BigInteger.valueOf(65537);

    private final java.security.PublicKey key;

    PublicKey(BigInteger modulus) throws GeneralSecurityException {
        key = KeyFactory.getInstance("RSA").generatePublic(new RSAPublicKeySpec(modulus, EXPONENT));
        newSignature(); // fails if the platform does not support the key
    }

    /** Refuses a token that this key did not sign, regardless of the token's {@code alg}. */
    void check(Jws jws) {
        if (!verifies(jws)) {
            throw new TokenRefusedException(RefusalCode.BAD_SIGNATURE);
        }
    }

    private boolean verifies(Jws jws) {
        try {
            Signature signature = newSignature();
            signature.update(jws.signed());
            return signature.verify(jws.signature());
        } catch (SignatureException error) {
            return false; // wrong length, or a number above the modulus
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException("the platform lacks RSA with SHA-256", error);
        }
    }

    /** Returns a new object each time, since it is not thread-safe. */
    private Signature newSignature() throws NoSuchAlgorithmException, InvalidKeyException {
        Signature signature = Signature.getInstance("SHA256withRSA");
        signature.initVerify(key);
        return signature;
    }
}
