package dev.signet.verifier;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.Signature;
import java.util.Arrays;
import java.util.Base64;
import java.util.Locale;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * Compares the cost of a complete check with the JDK's bare signature check; README.md says how to
 * run it.
 *
 * <p>In each of many short rounds both run, so that other load of the machine affects both equally;
 * the order alternates from round to round.
 */
class WarmBenchmark {

    private static final int WARM_UP = 40;
    private static final int ROUNDS = 101;
    private static final int CHECKS = 500;
    private static final double GOAL = 1.3;

    private final FakeSignet signet = new FakeSignet();
    private final SignetVerifier verifier = signet.verifier();
    private final String token = signet.token(Map.of(
            "email", "ada@example.test",
            "sid", "0199aa00-0000-7000-8000-00000000000a",
            "auth_time", FakeSignet.START,
            "scope", "openid tasks:read tasks:write"));
    private final byte[] signed = token.substring(0, token.lastIndexOf('.')).getBytes(StandardCharsets.US_ASCII);
    private final byte[] signature =
            Base64.getUrlDecoder().decode(token.substring(token.lastIndexOf('.') + 1));

    @Test
    void verifierComparedWithTheBareSignature() throws GeneralSecurityException {
        double[] bare = new double[ROUNDS];
        double[] whole = new double[ROUNDS];
        double[] ratios = new double[ROUNDS];
        for (int round = -WARM_UP; round < ROUNDS; round++) {
            double first = round % 2 == 0 ? bareSignature() : wholeCheck();
            double second = round % 2 == 0 ? wholeCheck() : bareSignature();
            if (round >= 0) {
                bare[round] = round % 2 == 0 ? first : second;
                whole[round] = round % 2 == 0 ? second : first;
                ratios[round] = whole[round] / bare[round];
            }
        }
        System.out.printf("%d bytes of token, %d rounds of %d checks, Java %s; µs per check%n",
                token.length(), ROUNDS, CHECKS, Runtime.version());
        print("JDK, signature", bare);
        print("verifier", whole);
        double median = print("verifier / JDK", ratios);
        assertTrue(median <= GOAL, "the goal is at most " + GOAL);
    }

    private double bareSignature() throws GeneralSecurityException {
        long started = System.nanoTime();
        for (int number = 0; number < CHECKS; number++) {
            Signature check = Signature.getInstance("SHA256withRSA");
            check.initVerify(FakeSignet.FIRST_KEY.getPublic());
            check.update(signed);
            assertTrue(check.verify(signature));
        }
        return (System.nanoTime() - started) / 1e3 / CHECKS;
    }

    private double wholeCheck() {
        long started = System.nanoTime();
        for (int number = 0; number < CHECKS; number++) {
            verifier.verify(token);
        }
        return (System.nanoTime() - started) / 1e3 / CHECKS;
    }

    /** Prints the median and the quartiles, and returns the median. */
    private static double print(String name, double[] values) {
        double[] sorted = values.clone();
        Arrays.sort(sorted);
        double median = sorted[sorted.length / 2];
        System.out.printf(Locale.ROOT, "%-15s median %6.2f   %6.2f to %6.2f%n",
                name, median, sorted[sorted.length / 4], sorted[sorted.length * 3 / 4]);
        return median;
    }
}
