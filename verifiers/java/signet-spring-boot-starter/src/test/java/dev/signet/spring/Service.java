package dev.signet.spring;

import dev.signet.verifier.junit.SignetTestIssuer;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.HashMap;
import java.util.Map;
import org.springframework.boot.SpringApplication;
import org.springframework.context.ConfigurableApplicationContext;

/** An application on a free port, and a client. */
final class Service implements AutoCloseable {

    private static final HttpClient CLIENT = HttpClient.newHttpClient();

    final ConfigurableApplicationContext context;

    private Service(ConfigurableApplicationContext context) {
        this.context = context;
    }

    /** Starts an application with only the two required properties, issuer and audiences. */
    static Service start(Class<?> application, String type, SignetTestIssuer signet) {
        return start(application, type, Map.of(
                SignetAutoConfiguration.ISSUER, signet.issuer(),
                SignetAutoConfiguration.AUDIENCES, signet.audience()));
    }

    static Service start(Class<?> application, String type, Map<String, Object> properties) {
        Map<String, Object> all = new HashMap<>(properties);
        all.put("spring.main.web-application-type", type);
        all.put("spring.main.banner-mode", "off");
        all.put("logging.level.root", "off");
        all.put("server.address", "127.0.0.1");
        all.put("server.port", "0");
        SpringApplication spring = new SpringApplication(application);
        spring.setDefaultProperties(all);
        return new Service(spring.run());
    }

    int port() {
        return context.getEnvironment().getRequiredProperty("local.server.port", Integer.class);
    }

    HttpResponse<String> get(String path, String... tokens) {
        return send("GET", path, tokens);
    }

    HttpResponse<String> send(String method, String path, String... tokens) {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port() + path))
                .method(method, BodyPublishers.noBody());
        for (String token : tokens) {
            request.header("Authorization", "Bearer " + token);
        }
        try {
            return CLIENT.send(request.build(), BodyHandlers.ofString());
        } catch (IOException | InterruptedException error) {
            throw new IllegalStateException(error);
        }
    }

    @Override
    public void close() {
        context.close();
    }
}
