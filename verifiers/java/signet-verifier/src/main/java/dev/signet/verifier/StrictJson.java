package dev.signet.verifier;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Strict JSON, so that all parsers read a token in the same way. The README of all verifiers lists
 * the rules. No library is suitable: those on the JVM that refuse duplicate names accept unpaired
 * surrogates, or are far larger than this class.
 *
 * <p>Values are String, Long, Double, Boolean, List, Map and null. A whole number is a Long if it
 * is written with digits only; {@code 7.0}, {@code 7e0} and {@code -0} are Doubles.
 */
final class StrictJson {

    /** The maximum nesting depth of lists and objects, including the outermost. */
    private static final int MAX_DEPTH = 127;

    /** The number of digits that always fit in a Long. */
    private static final int SAFE_DIGITS = 18;

    private final String text;
    private int at;

    private StrictJson(String text) {
        this.text = text;
    }

    /**
     * Parses exactly one object; only white space may surround it.
     *
     * @throws IllegalArgumentException for any other text
     */
    static Map<String, Object> object(byte[] utf8) {
        StrictJson reader = new StrictJson(decode(utf8));
        Object value = reader.value(0);
        if (reader.peek() != END) {
            throw malformed("data follows the object");
        }
        if (value instanceof Map<?, ?>) {
            @SuppressWarnings("unchecked") // value() makes no other maps
            Map<String, Object> object = (Map<String, Object>) value;
            return object;
        }
        throw malformed("not an object");
    }

    private static String decode(byte[] utf8) {
        try {
            // Unlike a String's constructor, a new decoder reports what is not UTF-8.
            return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(utf8)).toString();
        } catch (CharacterCodingException error) {
            throw malformed("not UTF-8");
        }
    }

    private Object value(int depth) {
        return switch (peek()) {
            case '{' -> members(inner(depth));
            case '[' -> items(inner(depth));
            case '"' -> string();
            case 't' -> literal("true", true);
            case 'f' -> literal("false", false);
            case 'n' -> literal("null", null);
            default -> number();
        };
    }

    private Map<String, Object> members(int depth) {
        Map<String, Object> members = new LinkedHashMap<>();
        at++;
        if (peek() == '}') {
            at++;
            return Collections.unmodifiableMap(members);
        }
        do {
            if (peek() != '"') {
                throw malformed("a name is missing");
            }
            String name = string();
            if (members.containsKey(name)) {
                throw malformed("duplicate name");
            }
            expect(':');
            members.put(name, value(depth));
        } while (hasNext('}'));
        return Collections.unmodifiableMap(members);
    }

    private List<Object> items(int depth) {
        List<Object> items = new ArrayList<>();
        at++;
        if (peek() == ']') {
            at++;
            return Collections.unmodifiableList(items);
        }
        do {
            items.add(value(depth));
        } while (hasNext(']'));
        return Collections.unmodifiableList(items);
    }

    /** Steps over the comma before a further item, or over the end. */
    private boolean hasNext(char end) {
        char next = peek();
        if (next != ',' && next != end) {
            throw malformed("neither a comma nor an end");
        }
        at++;
        return next == ',';
    }

    private void expect(char wanted) {
        if (peek() != wanted) {
            throw malformed("something is missing");
        }
        at++;
    }

    private Object literal(String name, Object value) {
        if (!text.startsWith(name, at)) {
            throw malformed("no value");
        }
        at += name.length(); // in a longer word, a letter follows, which the caller refuses
        return value;
    }

    private String string() {
        int start = ++at;
        for (; at < text.length(); at++) {
            char character = text.charAt(at);
            if (character == '"') {
                return text.substring(start, at++);
            }
            if (character == '\\') {
                return stringWithEscapes(start);
            }
            if (character < ' ') {
                break;
            }
        }
        throw malformed("a string does not end");
    }

    /** Continues at the first backslash. */
    private String stringWithEscapes(int start) {
        StringBuilder found = new StringBuilder(text.substring(start, at));
        while (at < text.length()) {
            char character = text.charAt(at++);
            if (character == '"') {
                return requirePairedSurrogates(found.toString());
            }
            if (character < ' ') {
                break;
            }
            found.append(character == '\\' ? escaped() : character);
        }
        throw malformed("a string does not end");
    }

    private char escaped() {
        char kind = at < text.length() ? text.charAt(at++) : END;
        return switch (kind) {
            case '"', '\\', '/' -> kind;
            case 'b' -> '\b';
            case 'f' -> '\f';
            case 'n' -> '\n';
            case 'r' -> '\r';
            case 't' -> '\t';
            case 'u' -> hexadecimal();
            default -> throw malformed("unknown escape");
        };
    }

    private char hexadecimal() {
        if (text.length() - at < 4) {
            throw malformed("incomplete escape");
        }
        int code = 0;
        for (int end = at + 4; at < end; at++) {
            char digit = text.charAt(at);
            // Character.digit would also accept the digits of other scripts.
            int value = digit < 0x80 ? Character.digit(digit, 16) : -1;
            if (value < 0) {
                throw malformed("not a hexadecimal digit");
            }
            code = code << 4 | value;
        }
        return (char) code;
    }

    /** Refuses unpaired surrogates, which escapes can produce. */
    private static String requirePairedSurrogates(String string) {
        for (int index = 0; index < string.length(); index++) {
            char character = string.charAt(index);
            if (!Character.isSurrogate(character)) {
                continue;
            }
            boolean paired = Character.isHighSurrogate(character)
                    && index + 1 < string.length()
                    && Character.isLowSurrogate(string.charAt(index + 1));
            if (!paired) {
                throw malformed("unpaired surrogate");
            }
            index++;
        }
        return string;
    }

    /** RFC 8259 section 6. */
    private Object number() {
        int start = at;
        skip('-');
        int digits = at;
        int length = digits();
        if (length == 0 || length > 1 && text.charAt(digits) == '0') {
            throw malformed("no value");
        }
        boolean isWhole = true;
        if (skip('.')) {
            isWhole = false;
            requireDigits();
        }
        if (skip('e') || skip('E')) {
            isWhole = false;
            if (!skip('+')) {
                skip('-');
            }
            requireDigits();
        }
        String written = text.substring(start, at);
        boolean isMinusZero = digits > start && text.charAt(digits) == '0';
        if (isWhole && length <= SAFE_DIGITS && !isMinusZero) {
            return Long.valueOf(written);
        }
        return finite(Double.parseDouble(written));
    }

    private static Double finite(double number) {
        if (Double.isInfinite(number)) {
            throw malformed("a number out of the range of a double");
        }
        return number;
    }

    private boolean skip(char wanted) {
        if (at < text.length() && text.charAt(at) == wanted) {
            at++;
            return true;
        }
        return false;
    }

    private int digits() {
        int start = at;
        while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
            at++;
        }
        return at - start;
    }

    private void requireDigits() {
        if (digits() == 0) {
            throw malformed("no digits");
        }
    }

    /** Marks the end of the text. */
    private static final char END = '\0';

    /** Skips white space and returns the next character, or END at the end of the text. */
    private char peek() {
        for (; at < text.length(); at++) {
            char character = text.charAt(at);
            if (character != ' ' && character != '\n' && character != '\r' && character != '\t') {
                if (character == END) {
                    throw malformed("a control character");
                }
                return character;
            }
        }
        return END;
    }

    private static int inner(int depth) {
        if (depth >= MAX_DEPTH) {
            throw malformed("nested too deeply");
        }
        return depth + 1;
    }

    private static IllegalArgumentException malformed(String why) {
        return new IllegalArgumentException("not strict JSON: " + why);
    }
}
