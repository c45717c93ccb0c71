package dev.signet.verifier;

import java.util.Collection;
import java.util.Map;
import java.util.stream.Collectors;

/** Writes plain values as JSON. */
final class TestJson {

    private TestJson() {}

    static String of(Object value) {
        if (value instanceof Map<?, ?> members) {
            return members.entrySet().stream()
                    .map(member -> of(member.getKey()) + ":" + of(member.getValue()))
                    .collect(Collectors.joining(",", "{", "}"));
        }
        if (value instanceof Collection<?> items) {
            return items.stream().map(TestJson::of).collect(Collectors.joining(",", "[", "]"));
        }
        if (value instanceof String text) {
            return text.chars()
                    .mapToObj(character -> character >= ' ' && character < 0x7f && character != '"' && character != '\\'
                            ? String.valueOf((char) character)
                            : "\\u%04x".formatted(character))
                    .collect(Collectors.joining("", "\"", "\""));
        }
        return String.valueOf(value);
    }
}
