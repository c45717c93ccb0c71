package dev.signet.spring;

import org.springframework.boot.diagnostics.AbstractFailureAnalyzer;
import org.springframework.boot.diagnostics.FailureAnalysis;

/** Prints which property to set, instead of a stack trace. */
final class MissingSettingFailureAnalyzer extends AbstractFailureAnalyzer<MissingSettingException> {

    @Override
    protected FailureAnalysis analyze(Throwable failure, MissingSettingException cause) {
        return new FailureAnalysis(
                "The property " + cause.property() + " is not set.",
                "Set " + SignetAutoConfiguration.ISSUER + " to Signet's SIGNET_ISSUER, and "
                        + SignetAutoConfiguration.AUDIENCES + " to the audience of this service.",
                cause);
    }
}
