package example;

import example.signet.ApiClient;
import example.signet.ApiException;
import example.signet.ApiResponse;
import example.signet.api.AccountsApi;
import example.signet.api.ConsentsApi;
import example.signet.api.SessionsApi;
import example.signet.model.ChangeBody;
import example.signet.model.DeleteMeBody;
import example.signet.model.ErrorBody;
import example.signet.model.ErrorEnvelope;
import example.signet.model.FieldProblem;
import example.signet.model.LogInBody;
import example.signet.model.Others;
import example.signet.model.ProfileBody;
import example.signet.model.RefreshBody;
import example.signet.model.ResetBody;
import example.signet.model.Session;
import example.signet.model.SignUpBody;
import java.util.List;
import java.util.Optional;

/** The life of an account. Prints a line for each answer: operation, status, error code. */
public final class Life {

    private final String url;

    private Life(String url) {
        this.url = url;
    }

    public static void main(String[] arguments) throws Exception {
        new Life(arguments[0]).live(arguments[1], arguments[2]);
    }

    private void live(String email, String password) throws Exception {
        var accounts = new AccountsApi(client());
        var sessions = new SessionsApi(client());

        var body = new SignUpBody().email(email).password(password);
        var born = done("signUp", () -> accounts.signUpWithHttpInfo(body));
        check(born.getEmail().equals(email));
        refused("signUp", () -> accounts.signUpWithHttpInfo(body));
        var weakly = new SignUpBody().email("other-" + email).password("Password1");
        var weak = refused("signUp", () -> accounts.signUpWithHttpInfo(weakly));
        var fields = weak.getFields().stream().map(FieldProblem::getName).toList();
        check(fields.equals(List.of("password")));

        var wrong = new LogInBody().email(email).password("Wrong-1");
        refused("logIn", () -> sessions.logInWithHttpInfo(wrong));
        var right = new LogInBody().email(email).password(password);
        var login = done("logIn", () -> sessions.logInWithHttpInfo(right));
        check(login.getUserId().equals(born.getUserId()));

        var first = new AccountsApi(bearer(login.getAccessToken()));
        var account = done("getMe", first::getMeWithHttpInfo);
        check(account.getUserId().equals(born.getUserId()));
        check(account.getCreatedAt().toEpochSecond() > 0);
        refused("getMe", new AccountsApi(bearer("no-token"))::getMeWithHttpInfo);

        var refresh = new RefreshBody().refreshToken(login.getRefreshToken());
        var renewed = done("refresh", () -> sessions.refreshWithHttpInfo(refresh));
        check(!renewed.getRefreshToken().equals(login.getRefreshToken()));
        check(renewed.getExpiresIn() > 0 && renewed.getTokenType().equals("Bearer"));

        var reset = new ResetBody().token("made-up").newPassword(password);
        refused("resetPassword", () -> accounts.resetPasswordWithHttpInfo(reset));

        var after = bearer(renewed.getAccessToken());
        change(new AccountsApi(after));
        end(new SessionsApi(after));
        withdraw(new ConsentsApi(after));

        var newPassword = password + "-new";
        changePassword(new AccountsApi(after), password, newPassword);

        done("logOut", new SessionsApi(after)::logOutWithHttpInfo);
        refused("getMe", new AccountsApi(after)::getMeWithHttpInfo);
        var late = new RefreshBody().refreshToken(renewed.getRefreshToken());
        refused("refresh", () -> sessions.refreshWithHttpInfo(late));

        var again = new LogInBody().email(email).password(newPassword);
        var last = done("logIn", () -> sessions.logInWithHttpInfo(again));
        var leaving = new DeleteMeBody().password(newPassword);
        var left = new AccountsApi(bearer(last.getAccessToken()));
        emptied("deleteMe", () -> left.deleteMeWithHttpInfo(leaving));
    }

    private void change(AccountsApi accounts) throws Exception {
        // A null takes a claim away, and what is not set is left as it is.
        var profile = new ProfileBody().name("Ada").locale("en-GB").gender(null);
        var named = done("updateMe", () -> accounts.updateMeWithHttpInfo(profile));
        check("Ada".equals(named.getName()) && "en-GB".equals(named.getLocale()));
        check(named.getGender() == null);
        var script = new ProfileBody().website(java.net.URI.create("javascript:alert(1)"));
        refused("updateMe", () -> accounts.updateMeWithHttpInfo(script));
    }

    private void end(SessionsApi sessions) throws Exception {
        var list = done("listSessions", sessions::listSessionsWithHttpInfo).getSessions();
        check(list.stream().map(Session::getCurrent).toList().equals(List.of(true, false)));
        var other = list.get(1).getId();
        emptied("endSession", () -> sessions.endSessionWithHttpInfo(other));
        refused("endSession", () -> sessions.endSessionWithHttpInfo(other));
        emptied("endOtherSessions", () -> sessions.endOtherSessionsWithHttpInfo(Others.TRUE));
    }

    private void withdraw(ConsentsApi consents) throws Exception {
        // Consents are given on the pages, so there is none to take back.
        check(done("listConsents", consents::listConsentsWithHttpInfo).getConsents().isEmpty());
        refused("withdrawConsent", () -> consents.withdrawConsentWithHttpInfo("shop"));
    }

    private void changePassword(AccountsApi accounts, String password, String newPassword)
            throws Exception {
        var wrong = new ChangeBody().currentPassword("Wrong-1").newPassword(newPassword);
        refused("changePassword", () -> accounts.changePasswordWithHttpInfo(wrong));
        var right = new ChangeBody().currentPassword(password).newPassword(newPassword);
        emptied("changePassword", () -> accounts.changePasswordWithHttpInfo(right));
    }

    private ApiClient client() {
        var client = new ApiClient();
        client.updateBaseUri(url);
        return client;
    }

    /** A client that shows {@code token} with each call. */
    private ApiClient bearer(String token) {
        return client().setRequestInterceptor(
                request -> request.header("Authorization", "Bearer " + token));
    }

    private interface Call<T> {
        ApiResponse<T> send() throws ApiException;
    }

    private static <T> T done(String operation, Call<T> call) throws ApiException {
        var answer = call.send();
        check(answer.getData() != null);
        System.out.println(operation + " " + answer.getStatusCode());
        return answer.getData();
    }

    private static void emptied(String operation, Call<Void> call) throws ApiException {
        System.out.println(operation + " " + call.send().getStatusCode());
    }

    private <T> ErrorBody refused(String operation, Call<T> call) throws Exception {
        try {
            throw new AssertionError(operation + ": " + call.send().getStatusCode());
        } catch (ApiException refusal) {
            // The generator makes a type of the envelope, and leaves reading it to the caller.
            var json = client().getObjectMapper();
            var envelope = json.readValue(refusal.getResponseBody(), ErrorEnvelope.class);
            var id = refusal.getResponseHeaders().firstValue("X-Request-Id");
            check(id.equals(Optional.of(envelope.getMeta().getRequestId().toString())));
            var code = envelope.getError().getCode();
            System.out.println(operation + " " + refusal.getCode() + " " + code);
            return envelope.getError();
        }
    }

    private static void check(boolean holds) {
        if (!holds) {
            throw new AssertionError();
        }
    }
}
