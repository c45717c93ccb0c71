package dev.signet.verifier;

import static dev.signet.verifier.FakeSignet.KEYS_URL;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.logging.Handler;
import java.util.logging.LogRecord;
import java.util.logging.Logger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** The log contains the reasons of refusals, and no part of a token. */
class LogTest {

    /** A strong reference, because java.util.logging references loggers only weakly. */
    private static final Logger LOGGER = Logger.getLogger(SignetVerifier.LOGGER);

    private final List<String> lines = Collections.synchronizedList(new ArrayList<>());
    private final Handler handler = new Handler() {
        @Override
        public void publish(LogRecord record) {
            lines.add(record.getLevel() + " " + record.getMessage());
        }

        @Override
        public void flush() {}

        @Override
        public void close() {}
    };

    private final FakeSignet signet = new FakeSignet();
    private final SignetVerifier verifier = signet.verifier();

    @BeforeEach
    void listen() {
        LOGGER.addHandler(handler);
    }

    @AfterEach
    void stopListening() {
        LOGGER.removeHandler(handler);
    }

    @Test
    void failedFetchIsLoggedOnce() {
        signet.isUp = false;
        for (int number = 0; number < 3; number++) {
            Outcome.of(verifier, signet.token());
        }

        assertEquals(
                List.of("WARNING could not fetch " + KEYS_URL + ": UncheckedIOException: java.net.ConnectException: refused"),
                lines.stream().filter(line -> line.startsWith("WARNING")).toList());
    }

    @Test
    void logContainsTheRefusalReasonAndNoToken() {
        verifier.verify(signet.token());
        lines.clear();
        for (String token : List.of(
                signet.clientToken("kid-of-a-stranger"),
                signet.token(Map.of("iss", "https://stranger.test")),
                signet.token(Map.of("client_id", 7)),
                "not-a-token")) {
            Outcome.of(verifier, token);
        }
        verifier.verifyAsync("not-a-token").exceptionally(refused -> null).join();

        assertEquals(
                List.of(
                        "INFO token not accepted: unknown_key",
                        "INFO token not accepted: wrong_issuer",
                        "INFO token not accepted: invalid_claim (client_id)",
                        "INFO token not accepted: malformed",
                        "INFO token not accepted: malformed"),
                lines);
    }

    @Test
    void stringOfATokenContainsNoEmail() {
        AccessToken token = verifier.verify(signet.token(Map.of("email", "ada@example.test")));

        assertEquals("ada@example.test", token.email());
        assertFalse(token.toString().contains("ada@"));
    }
}
