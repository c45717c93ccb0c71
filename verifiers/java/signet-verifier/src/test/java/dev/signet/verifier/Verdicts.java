package dev.signet.verifier;

import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/**
 * Verifies each case of a file, for {@code tests/verifiers} to compare the results.
 *
 * <p>The first line of the file {@code CASES_FILE} has the members that all cases share; each
 * further line is a case. {@code VERDICTS_FILE} gets one line per case: the result in the format of
 * {@code expect}.
 */
final class Verdicts {

    private Verdicts() {}

    public static void main(String[] arguments) throws IOException {
        try (BufferedReader cases = Files.newBufferedReader(Path.of(System.getenv("CASES_FILE")));
                BufferedWriter verdicts = Files.newBufferedWriter(Path.of(System.getenv("VERDICTS_FILE")))) {
            Map<String, Object> shared = object(cases.readLine());
            for (String line = cases.readLine(); line != null; line = cases.readLine()) {
                verdicts.write(TestJson.of(Case.of(shared, object(line)).verdict()));
                verdicts.newLine();
            }
        }
    }

    private static Map<String, Object> object(String line) {
        return StrictJson.object(line.getBytes(StandardCharsets.UTF_8));
    }
}
