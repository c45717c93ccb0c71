package dev.signet.verifier;

import static dev.signet.verifier.FakeSignet.encode;
import static dev.signet.verifier.Outcome.ACCEPTED;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** Hostile tokens cost little time, and are never accepted. */
class StrictnessTest {

    private static final String INTERESTING = ".=_-+/AZaz09\"{}[],:\\u \n\0\u007f\u00e9\ud800";

    private final FakeSignet signet = new FakeSignet();
    private final SignetVerifier verifier = signet.verifier();

    @Test
    void mutatedTokenIsRefused() {
        String valid = signet.token();
        Random numbers = new Random(0x51696E657421L);
        for (int turn = 0; turn < 10_000; turn++) {
            String spoiled = spoiled(valid, numbers);
            if (!spoiled.equals(valid)) {
                assertNotEquals(ACCEPTED, Outcome.of(verifier, spoiled), spoiled);
            }
        }
    }

    private static String spoiled(String valid, Random numbers) {
        StringBuilder token = new StringBuilder(valid);
        for (int change = numbers.nextInt(4); change >= 0; change--) {
            int at = numbers.nextInt(token.length());
            int end = Math.min(at + numbers.nextInt(20), token.length());
            char character = INTERESTING.charAt(numbers.nextInt(INTERESTING.length()));
            switch (numbers.nextInt(4)) {
                case 0 -> token.setCharAt(at, character);
                case 1 -> token.insert(at, character);
                case 2 -> token.delete(at, end);
                default -> token.insert(at, token.substring(at, end));
            }
        }
        return token.toString();
    }

    @Test
    void worstCaseTokensAreRefusedQuickly() {
        verifier.verify(signet.token());
        int longest = 6000;
        List<String> headers = List.of(
                "[".repeat(longest),
                "{\"a\":".repeat(longest / 5),
                "{\"a\":" + "[".repeat(2900) + "]".repeat(2900) + "}",
                "{\"a\":" + "9".repeat(longest - 20) + "}",
                IntStream.range(0, 700).mapToObj(number -> "\"" + number + "\":0").collect(Collectors.joining(",", "{", "}")),
                "{\"a\":\"" + "\\u0041".repeat(longest / 6 - 10) + "\"}");
        List<String> tokens = new ArrayList<>();
        headers.forEach(header -> tokens.add(encode(header) + "." + encode("{}") + ".AAAA"));
        tokens.addAll(List.of(".".repeat(8192), "a".repeat(1 << 20), ".".repeat(1 << 20), "\u00e9".repeat(1 << 20), ""));
        tokens.add(null);

        for (String token : tokens) {
            List<Long> taken = new ArrayList<>();
            for (int turn = 0; turn < 20; turn++) {
                long started = System.nanoTime();
                assertEquals("malformed", Outcome.of(verifier, token));
                taken.add(System.nanoTime() - started);
            }
            assertTrue(Collections.min(taken) < 5_000_000, () -> "took " + Collections.min(taken) + " ns: " + token);
        }
    }

    @Test
    void nestingLimitIsTheSameAsInOtherLanguages() {
        // The payload itself is the outermost level.
        assertEquals(ACCEPTED, Outcome.of(verifier, signet.token(Map.of("x", nested(126)))));
        assertEquals("malformed", Outcome.of(verifier, signet.token(Map.of("x", nested(127)))));
        List<List<String>> wide = Collections.nCopies(500, List.of());
        assertEquals(ACCEPTED, Outcome.of(verifier, signet.token(Map.of("x", wide))));
    }

    private static List<Object> nested(int depth) {
        List<Object> value = List.of();
        for (int level = 1; level < depth; level++) {
            value = List.of(value);
        }
        return value;
    }
}
