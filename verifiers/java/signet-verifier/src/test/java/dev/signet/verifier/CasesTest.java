package dev.signet.verifier;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.DynamicTest.dynamicTest;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;

/** Every case of {@code verifiers/vectors}, which all languages run. */
class CasesTest {

    private static final Map<String, Object> CASE_FILE = read(Path.of("../../vectors/cases.json"));

    @TestFactory
    Stream<DynamicTest> verifyHasTheExpectedVerdict() {
        return cases(Case::verdict);
    }

    @TestFactory
    Stream<DynamicTest> verifyAsyncHasTheExpectedVerdict() {
        return cases(Case::verdictAsync);
    }

    @TestFactory
    Stream<DynamicTest> listsOfTheDraftHaveTheDocumentedStatuses() {
        return list(CASE_FILE.get("lists")).map(packed -> dynamicTest((String) packed.get("name"), () -> {
            int bits = ((Long) packed.get("bits")).intValue();
            StatusList statuses = new StatusList(bits, StatusList.unpack((String) packed.get("lst")), null, null);
            Map<String, Object> named = map(packed.get("statuses"));
            long size = (Long) packed.get("size");
            for (long index = 0; index < size; index++) {
                long expected = (Long) named.getOrDefault(String.valueOf(index), 0L);
                assertEquals(expected, statuses.status(index).orElseThrow(), "at " + index);
            }
            assertEquals(true, statuses.status(size).isEmpty());
        }));
    }

    private static Stream<DynamicTest> cases(Function<Case, Map<String, Object>> found) {
        return list(CASE_FILE.get("cases")).map(one -> dynamicTest((String) one.get("name"), () -> {
            Map<String, Object> actual = found.apply(Case.of(CASE_FILE, one));
            if (mayAccept(one)) {
                assertFalse(actual.containsKey("error"), actual::toString);
            } else {
                assertEquals(one.get("expect"), actual);
            }
        }));
    }

    /** Whether Java accepts this token, as documented, although other languages refuse it. */
    private static boolean mayAccept(Map<String, Object> one) {
        return one.get("accepted_by") instanceof List<?> languages && languages.contains("java");
    }

    private static Map<String, Object> read(Path file) {
        try {
            return StrictJson.object(Files.readAllBytes(file));
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> map(Object value) {
        return (Map<String, Object>) value;
    }

    @SuppressWarnings("unchecked")
    private static Stream<Map<String, Object>> list(Object value) {
        return ((List<Map<String, Object>>) value).stream();
    }
}
