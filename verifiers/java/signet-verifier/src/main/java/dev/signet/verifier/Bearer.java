package dev.signet.verifier;

import java.util.List;

/** RFC 6750 section 2.1: the location of a token in a request. */
public final class Bearer {

    private static final String SCHEME = "Bearer ";

    private Bearer() {}

    /**
     * The token of the {@code Authorization} headers of a request. No other location is read.
     * Several headers are joined with commas, as HTTP defines; the result is never a valid token.
     *
     * @throws MissingTokenException if there is none
     */
    public static String token(List<String> authorization) {
        String header = strip(String.join(", ", authorization));
        if (!header.regionMatches(true, 0, SCHEME, 0, SCHEME.length())) {
            throw new MissingTokenException();
        }
        int start = SCHEME.length();
        while (header.charAt(start) == ' ') { // ends, because the last character is not a space
            start++;
        }
        return header.substring(start);
    }

    /** {@code String.strip} would also strip characters that are not white space in HTTP. */
    private static String strip(String text) {
        int start = 0;
        int end = text.length();
        while (start < end && isBlank(text.charAt(start))) {
            start++;
        }
        while (end > start && isBlank(text.charAt(end - 1))) {
            end--;
        }
        return text.substring(start, end);
    }

    private static boolean isBlank(char character) {
        return character == ' ' || character == '\t';
    }
}
