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

/** The verifier, by the properties that a resource server on Spring Boot has anyway. */
@AutoConfiguration
@EnableConfigurationProperties(SignetProperties.class)
public class SignetAutoConfiguration {

    static final String ISSUER = "spring.security.oauth2.resourceserver.jwt.issuer-uri";

    /** Spring does without, and then takes tokens for any service. Here it must be set. */
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

    /** An empty value is as good as none: where a variable is empty, nobody meant it. */
    private static <T> T required(Environment environment, String property, Bindable<T> type) {
        T value = Binder.get(environment).bind(property, type).orElse(null);
        if (value == null || value.equals("") || value.equals(List.of())) {
            throw new MissingSettingException(property);
        }
        return value;
    }
}
