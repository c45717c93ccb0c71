package example;

import io.quarkus.security.Authenticated;
import jakarta.inject.Inject;
import jakarta.ws.rs.GET;
import jakarta.ws.rs.Path;
import jakarta.ws.rs.Produces;
import jakarta.ws.rs.core.MediaType;
import org.eclipse.microprofile.jwt.JsonWebToken;

@Path("/whoami")
@Authenticated
public class Tasks {

    @Inject JsonWebToken caller;

    @GET
    @Produces(MediaType.TEXT_PLAIN)
    public String whoami() {
        return caller.getSubject();
    }
}
