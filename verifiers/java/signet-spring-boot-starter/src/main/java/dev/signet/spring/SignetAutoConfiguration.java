package dev.signet.spring;

import dev.signet.verifier.SignetVerifier;
import java.util.List;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.context.annotation.Bean;
import org.springframework.core.env.Environment;

/** The verifier, configured by Spring Boot's own properties for resource servers. */
@AutoConfiguration
@EnableConfigurationProperties(SignetProperties.class)
public class SignetAutoConfiguration {

    static final String ISSUER = "spring.security.oauth2.resourceserver.jwt.issuer-uri";

    /**
     * Required here. Spring Boot itself does not require it, and then accepts tokens for any
     * service.
     */
    static final String AUDIENCES = "spring.security.oauth2.resourceserver.jwt.audiences";

    @Bean
    @ConditionalOnMissingBean
    SignetVerifier signetVerifier(Environment environment, SignetProperties properties) {
        return SignetVerifier.builder()
                .issuer(required(environment, ISSUER, Bindable.of(String.class)))
                .audiences(required(environment, AUDIENCES, Bindable.listOf(String.class)))
                .baseUrl(properties.baseUrl())
                .acceptTypJwt(properties.acceptTypJwt())
                .leeway(properties.leeway())
                .cooldown(properties.cooldown())
                .whenStatusUnavailable(properties.whenStatusUnavailable())
                .timeout(properties.timeout())
                .build();
    }

    @Bean
    @ConditionalOnMissingBean
    SignetExpressions signet() {
        return new SignetExpressions();
    }

    /** An empty value counts as missing, because an empty variable is usually a mistake. */
    private static <T> T required(Environment environment, String property, Bindable<T> type) {
        T value = Binder.get(environment).bind(property, type).orElse(null);
        if (value == null || value.equals("") || value.equals(List.of())) {
            throw new MissingSettingException(property);
        }
        return value;
    }
}
