package dev.signet.spring;

/** A required property is missing. */
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
