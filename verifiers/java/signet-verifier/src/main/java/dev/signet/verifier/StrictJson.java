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
 * JSON as strictly as a token deserves: two readers of one text must not see two things. The family's
 * page lists the rules. Why no library: those of the JVM that can refuse a name that occurs twice
 * still take half a surrogate pair, or bring along more than this page of code.
 *
 * <p>Values are String, Long, Double, Boolean, List, Map and null. A whole number is a Long if it was
 * written with digits alone; {@code 7.0}, {@code 7e0} and {@code -0} are a Double.
 */
final class StrictJson {

    /** Lists and objects that may lie within one another, the outermost included. */
    private static final int DEEPEST = 127;

    /** Digits that fit in a Long whatever they are. */
    private static final int SAFE_DIGITS = 18;

    private final String text;
    private int at;

    private StrictJson(String text) {
        this.text = text;
    }

    /**
     * Reads one object with nothing but white space around it.
     *
     * @throws IllegalArgumentException if it is anything else
     */
    static Map<String, Object> object(byte[] utf8) {
        StrictJson reader = new StrictJson(decode(utf8));
        Object value = reader.value(0);
        if (reader.peek() != END) {
            throw malformed("something follows");
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
                throw malformed("a name occurs twice");
            }
            expect(':');
            members.put(name, value(depth));
        } while (goesOn('}'));
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
        } while (goesOn(']'));
        return Collections.unmodifiableList(items);
    }

    /** Steps over the comma before a further item, or over the end. */
    private boolean goesOn(char end) {
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
        at += name.length(); // what follows is no comma and no end, if it belongs to a longer word
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

    /** Goes on where the first backslash stands. */
    private String stringWithEscapes(int start) {
        StringBuilder found = new StringBuilder(text.substring(start, at));
        while (at < text.length()) {
            char character = text.charAt(at++);
            if (character == '"') {
                return whole(found.toString());
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
            default -> throw malformed("no such escape");
        };
    }

    private char hexadecimal() {
        if (text.length() - at < 4) {
            throw malformed("half an escape");
        }
        int code = 0;
        for (int end = at + 4; at < end; at++) {
            char digit = text.charAt(at);
            // Character.digit alone would take the digits of other scripts.
            int value = digit < 0x80 ? Character.digit(digit, 16) : -1;
            if (value < 0) {
                throw malformed("no hexadecimal digit");
            }
            code = code << 4 | value;
        }
        return (char) code;
    }

    /** Escapes can spell half of a surrogate pair, which no other text can hold. */
    private static String whole(String string) {
        for (int index = 0; index < string.length(); index++) {
            char character = string.charAt(index);
            if (!Character.isSurrogate(character)) {
                continue;
            }
            boolean paired = Character.isHighSurrogate(character)
                    && index + 1 < string.length()
                    && Character.isLowSurrogate(string.charAt(index + 1));
            if (!paired) {
                throw malformed("half a character");
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
            throw malformed("a number that no double can hold");
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

    /** No character of a text that could mean something here. */
    private static final char END = '\0';

    /** Steps over white space and tells what stands there; a NUL in the text means as little as its end. */
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
        if (depth >= DEEPEST) {
            throw malformed("nested too deeply");
        }
        return depth + 1;
    }

    private static IllegalArgumentException malformed(String why) {
        return new IllegalArgumentException("not strict JSON: " + why);
    }
}
