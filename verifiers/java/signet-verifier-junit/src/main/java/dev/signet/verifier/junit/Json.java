package dev.signet.verifier.junit;

import java.util.Collection;
import java.util.Map;
import java.util.stream.Collectors;

/** Writes text, numbers, booleans, null, collections and maps as JSON. */
final class Json {

    private Json() {}

    static String of(Object value) {
        if (value instanceof Map<?, ?> members) {
            return members.entrySet().stream()
                    .map(member -> quoted(String.valueOf(member.getKey())) + ":" + of(member.getValue()))
                    .collect(Collectors.joining(",", "{", "}"));
        }
        if (value instanceof Collection<?> items) {
            return items.stream().map(Json::of).collect(Collectors.joining(",", "[", "]"));
        }
        if (value instanceof Number || value instanceof Boolean || value == null) {
            return String.valueOf(value);
        }
        return quoted(value.toString());
    }

    private static String quoted(String text) {
        StringBuilder quoted = new StringBuilder("\"");
        for (char character : text.toCharArray()) {
            boolean isPlain = character >= ' ' && character < 0x7f && character != '"' && character != '\\';
            quoted.append(isPlain ? String.valueOf(character) : "\\u%04x".formatted((int) character));
        }
        return quoted.append('"').toString();
    }
}
