package dev.signet.spring;

import dev.signet.verifier.SignetVerifier.WhenStatusUnavailable;
import java.time.Duration;
import org.springframework.boot.context.properties.ConfigurationProperties;
import org.springframework.boot.context.properties.bind.DefaultValue;

/**
 * What Spring has no property for; all of it may be left out.
 *
 * @param baseUrl where Signet is reached if not at the issuer, such as under another name inside a cluster
 * @param acceptTypJwt accepts {@code typ} {@code JWT} too, for an audience in {@code SIGNET_TYP_JWT_AUDIENCES}
 * @param leeway by how much the clocks may differ
 * @param cooldown least time between two fetches of the key set for unknown keys
 * @param whenStatusUnavailable what becomes of a token whose status cannot be had
 * @param timeout after how long a fetch is given up
 */
@ConfigurationProperties("signet")
public record SignetProperties(
        String baseUrl,
        @DefaultValue("false") boolean acceptTypJwt,
        @DefaultValue("30s") Duration leeway,
        @DefaultValue("30s") Duration cooldown,
        @DefaultValue("refuse") WhenStatusUnavailable whenStatusUnavailable,
        @DefaultValue("3s") Duration timeout) {}
