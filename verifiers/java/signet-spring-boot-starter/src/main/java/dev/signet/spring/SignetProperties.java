package dev.signet.spring;

import dev.signet.verifier.SignetVerifier.WhenStatusUnavailable;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * Optional settings for which Spring has no property.
 *
 * @param baseUrl the URL at which Signet is reachable, if it differs from the issuer
 * @param acceptTypJwt also accepts {@code typ} {@code JWT}, for an audience in {@code
 * SIGNET_TYP_JWT_AUDIENCES}
 * @param leeway accepted difference between the clocks
 * @param cooldown minimum time from any fetch of the key set to a fetch for an unknown key
 * @param whenStatusUnavailable how to treat a token whose status is unavailable
 * @param timeout timeout of a fetch
 */
@ConfigurationProperties("signet")
public record SignetProperties(
        String baseUrl,
        @DefaultValue("false") boolean acceptTypJwt,
        @DefaultValue("30s") Duration leeway,
        @DefaultValue("30s") Duration cooldown,
        @DefaultValue("refuse") WhenStatusUnavailable whenStatusUnavailable,
        @DefaultValue("3s") Duration timeout) {}
