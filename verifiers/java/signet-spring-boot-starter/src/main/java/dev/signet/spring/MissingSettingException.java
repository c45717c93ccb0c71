package dev.signet.spring;

/** A property without which no token can be judged. */
final class MissingSettingException extends RuntimeException {

    private final String property;

    MissingSettingException(String property) {
        super(property + " is not set");
        this.property = property;
    }

    String property() {
        return property;
    }
}
