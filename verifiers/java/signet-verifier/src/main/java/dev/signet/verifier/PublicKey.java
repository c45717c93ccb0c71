package dev.signet.verifier;

import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.spec.RSAPublicKeySpec;
import java.util.Arrays;
import java.util.HexFormat;
import javax.crypto.BadPaddingException;
import javax.crypto.Cipher;

/**
 * An RSA key that checks RS256 and nothing else: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3).
 *
 * <p>RSA and SHA-256 are the JDK's. Its {@code Signature}, however, reads the block that the signature
 * holds and takes several spellings of it, such as one without the digest's parameters. Here the whole
 * block is compared with the one that there should be, as RFC 8017 section 8.2.2 has it.
 */
final class PublicKey {

    /** 65537. With a free choice, a set with an exponent of 1 would make every signature easy to forge. */
    private static final BigInteger EXPONENT = BigInteger.valueOf(65537);

    /** What stands before the digest, by which it is one of SHA-256 (RFC 8017 section 9.2, note 1). */
    private static final byte[] SHA_256 = HexFormat.of().parseHex("3031300d060960864801650304020105000420");

    private static final int DIGEST_BYTES = 32;

    private final java.security.PublicKey key;

    /** The block of every signature of this key (RFC 8017 section 9.2), but for the digest at its end. */
    private final byte[] block;

    PublicKey(BigInteger modulus) throws GeneralSecurityException {
        key = KeyFactory.getInstance("RSA").generatePublic(new RSAPublicKeySpec(modulus, EXPONENT));
        block = block((modulus.bitLength() + 7) / 8);
        newCipher(); // a key that the platform cannot use is no use to anybody
    }

    /** Refuses what this key did not sign, whatever algorithm the token names. */
    void check(Jws jws) {
        if (!verifies(jws)) {
            throw new TokenRefusedException(RefusalCode.BAD_SIGNATURE);
        }
    }

    private boolean verifies(Jws jws) {
        if (jws.signature().length != block.length) {
            return false;
        }
        try {
            byte[] signed = newCipher().doFinal(jws.signature());
            return MessageDigest.isEqual(signed, blockOf(jws.signed()));
        } catch (BadPaddingException error) {
            return false; // a number above the modulus
        } catch (GeneralSecurityException error) {
            throw new IllegalStateException("the platform lacks RSA or SHA-256", error);
        }
    }

    private byte[] blockOf(byte[] signed) throws NoSuchAlgorithmException {
        byte[] digest = MessageDigest.getInstance("SHA-256").digest(signed);
        byte[] expected = block.clone();
        System.arraycopy(digest, 0, expected, expected.length - DIGEST_BYTES, DIGEST_BYTES);
        return expected;
    }

    private static byte[] block(int length) {
        byte[] block = new byte[length];
        int digestInfo = length - DIGEST_BYTES - SHA_256.length;
        block[1] = 1;
        Arrays.fill(block, 2, digestInfo - 1, (byte) 0xff);
        System.arraycopy(SHA_256, 0, block, digestInfo, SHA_256.length);
        return block;
    }

    /** A new one each time, since none may be used by two threads. */
    private Cipher newCipher() throws GeneralSecurityException {
        Cipher rsa = Cipher.getInstance("RSA/ECB/NoPadding");
        // For the JDK a signature is opened like a secret message, with the public key.
        rsa.init(Cipher.DECRYPT_MODE, key);
        return rsa;
    }
}
