package example;

import example.signet.ApiClient;
import example.signet.ApiException;
import example.signet.ApiResponse;
import example.signet.api.AccountsApi;
import example.signet.api.ConsentsApi;
import example.signet.api.SessionsApi;
import example.signet.model.ChangeBody;
import example.signet.model.ChangeEmailBody;
import example.signet.model.CodeBody;
import example.signet.model.DeleteMeBody;
import example.signet.model.DownloadBody;
import example.signet.model.ErrorBody;
import example.signet.model.ErrorEnvelope;
import example.signet.model.FieldProblem;
import example.signet.model.ForgottenBody;
import example.signet.model.LogInBody;
import example.signet.model.Others;
import example.signet.model.ProfileBody;
import example.signet.model.RefreshBody;
import example.signet.model.RequestVerificationBody;
import example.signet.model.ResetBody;
import example.signet.model.Session;
import example.signet.model.SignUpBody;
import example.signet.model.StoredSession;
import example.signet.model.VerifyBody;
import example.signet.model.VerifyCodeBody;
import java.util.List;
import java.util.Optional;

/** Calls all operations of an account's lifecycle. Prints each response's status and error code. */
public final class Lifecycle {

    private final String url;

    private Lifecycle(String url) {
        this.url = url;
    }

    public static void main(String[] arguments) throws Exception {
        new Lifecycle(arguments[0]).callAllOperations(arguments[1], arguments[2]);
    }

    private void callAllOperations(String email, String password) throws Exception {
        var accounts = new AccountsApi(client());
        var sessions = new SessionsApi(client());

        var body = new SignUpBody().email(email).password(password);
        var signedUp = expectSuccess("signUp", () -> accounts.signUpWithHttpInfo(body));
        check(signedUp.getEmail().equals(email));
        expectError("signUp", () -> accounts.signUpWithHttpInfo(body));
        var weakBody = new SignUpBody().email("other-" + email).password("Password1");
        var weak = expectError("signUp", () -> accounts.signUpWithHttpInfo(weakBody));
        var fields = weak.getFields().stream().map(FieldProblem::getName).toList();
        check(fields.equals(List.of("password")));

        var wrong = new LogInBody().email(email).password("Wrong-1");
        expectError("logIn", () -> sessions.logInWithHttpInfo(wrong));
        var correct = new LogInBody().email(email).password(password);
        var login = expectSuccess("logIn", () -> sessions.logInWithHttpInfo(correct));
        check(login.getUserId().equals(signedUp.getUserId()));

        var first = new AccountsApi(bearer(login.getAccessToken()));
        var account = expectSuccess("getMe", first::getMeWithHttpInfo);
        check(account.getUserId().equals(signedUp.getUserId()));
        check(account.getCreatedAt().toEpochSecond() > 0);
        expectError("getMe", new AccountsApi(bearer("no-token"))::getMeWithHttpInfo);

        var refresh = new RefreshBody().refreshToken(login.getRefreshToken());
        var renewed = expectSuccess("refresh", () -> sessions.refreshWithHttpInfo(refresh));
        check(!renewed.getRefreshToken().equals(login.getRefreshToken()));
        check(renewed.getExpiresIn() > 0 && renewed.getTokenType().equals("Bearer"));

        var reset = new ResetBody().token("made-up").newPassword(password);
        expectError("resetPassword", () -> accounts.resetPasswordWithHttpInfo(reset));
        var forgotten = new ForgottenBody().email(email);
        expectError("requestPasswordReset", () -> accounts.requestPasswordResetWithHttpInfo(forgotten));
        var code = new CodeBody().handle("made-up").code("made-up").newPassword(password);
        expectError("resetPasswordByCode", () -> accounts.resetPasswordByCodeWithHttpInfo(code));
        var newEmail = new ChangeEmailBody().email("new-" + email).password(password);
        var renewedAccounts = new AccountsApi(bearer(renewed.getAccessToken()));
        expectError("changeEmail", () -> renewedAccounts.changeEmailWithHttpInfo(newEmail));
        verifyEmail(accounts, email, password);

        var renewedClient = bearer(renewed.getAccessToken());
        updateProfile(new AccountsApi(renewedClient));
        endSessions(new SessionsApi(renewedClient));
        withdrawConsent(new ConsentsApi(renewedClient));

        downloadData(new AccountsApi(renewedClient), email, password);

        var newPassword = password + "-new";
        changePassword(new AccountsApi(renewedClient), password, newPassword);

        expectSuccess("logOut", new SessionsApi(renewedClient)::logOutWithHttpInfo);
        expectError("getMe", new AccountsApi(renewedClient)::getMeWithHttpInfo);
        var reused = new RefreshBody().refreshToken(renewed.getRefreshToken());
        expectError("refresh", () -> sessions.refreshWithHttpInfo(reused));

        var again = new LogInBody().email(email).password(newPassword);
        var last = expectSuccess("logIn", () -> sessions.logInWithHttpInfo(again));
        var deletion = new DeleteMeBody().password(newPassword);
        var accountsAfterLogin = new AccountsApi(bearer(last.getAccessToken()));
        expectEmpty("deleteMe", () -> accountsAfterLogin.deleteMeWithHttpInfo(deletion));
    }

    private void verifyEmail(AccountsApi accounts, String email, String password) throws Exception {
        var request = new RequestVerificationBody().email(email).password(password);
        expectError(
                "requestEmailVerification",
                () -> accounts.requestEmailVerificationWithHttpInfo(request));
        var verification = new VerifyBody().token("made-up").password(password);
        expectError("verifyEmail", () -> accounts.verifyEmailWithHttpInfo(verification));
        var code = new VerifyCodeBody().handle("made-up").code("made-up");
        expectError("verifyEmailByCode", () -> accounts.verifyEmailByCodeWithHttpInfo(code));
    }

    private void updateProfile(AccountsApi accounts) throws Exception {
        // A null removes a claim. Members that are not set stay unchanged.
        var profile = new ProfileBody().name("Ada").locale("en-GB").gender(null);
        var updated = expectSuccess("updateMe", () -> accounts.updateMeWithHttpInfo(profile));
        check("Ada".equals(updated.getName()) && "en-GB".equals(updated.getLocale()));
        check(updated.getGender() == null);
        var invalid = new ProfileBody().website(java.net.URI.create("javascript:alert(1)"));
        expectError("updateMe", () -> accounts.updateMeWithHttpInfo(invalid));
    }

    private void endSessions(SessionsApi sessions) throws Exception {
        var list = expectSuccess("listSessions", sessions::listSessionsWithHttpInfo).getSessions();
        check(list.stream().map(Session::getCurrent).toList().equals(List.of(true, false)));
        var other = list.get(1).getId();
        expectEmpty("endSession", () -> sessions.endSessionWithHttpInfo(other));
        expectError("endSession", () -> sessions.endSessionWithHttpInfo(other));
        expectEmpty("endOtherSessions", () -> sessions.endOtherSessionsWithHttpInfo(Others.TRUE));
    }

    private void withdrawConsent(ConsentsApi consents) throws Exception {
        // Consents are only given on the hosted pages, so there is none to withdraw.
        var list = expectSuccess("listConsents", consents::listConsentsWithHttpInfo);
        check(list.getConsents().isEmpty());
        expectError("withdrawConsent", () -> consents.withdrawConsentWithHttpInfo("shop"));
    }

    private void downloadData(AccountsApi accounts, String email, String password) throws Exception {
        var wrong = new DownloadBody().password("Wrong-1");
        expectError("downloadMyData", () -> accounts.downloadMyDataWithHttpInfo(wrong));
        var correct = new DownloadBody().password(password);
        var data = expectSuccess("downloadMyData", () -> accounts.downloadMyDataWithHttpInfo(correct));
        check(data.getAccount().getEmail().equals(email) && data.getConsents().isEmpty());
        check(data.getSessions().stream().filter(StoredSession::getLive).count() == 1);
        check(data.getEvents().get(0).getType().equals("signup"));
    }

    private void changePassword(AccountsApi accounts, String password, String newPassword)
            throws Exception {
        var wrong = new ChangeBody().currentPassword("Wrong-1").newPassword(newPassword);
        expectError("changePassword", () -> accounts.changePasswordWithHttpInfo(wrong));
        var correct = new ChangeBody().currentPassword(password).newPassword(newPassword);
        expectEmpty("changePassword", () -> accounts.changePasswordWithHttpInfo(correct));
    }

    private ApiClient client() {
        var client = new ApiClient();
        client.updateBaseUri(url);
        return client;
    }

    /** A client that sends {@code token} with each request. */
    private ApiClient bearer(String token) {
        return client().setRequestInterceptor(
                request -> request.header("Authorization", "Bearer " + token));
    }

    private interface Call<T> {
        ApiResponse<T> send() throws ApiException;
    }

    private static <T> T expectSuccess(String operation, Call<T> call) throws ApiException {
        var response = call.send();
        check(response.getData() != null);
        System.out.println(operation + " " + response.getStatusCode());
        return response.getData();
    }

    private static void expectEmpty(String operation, Call<Void> call) throws ApiException {
        System.out.println(operation + " " + call.send().getStatusCode());
    }

    private <T> ErrorBody expectError(String operation, Call<T> call) throws Exception {
        try {
            throw new AssertionError(operation + ": " + call.send().getStatusCode());
        } catch (ApiException error) {
            // The generated client does not parse the error, but has a class for it.
            var json = client().getObjectMapper();
            var envelope = json.readValue(error.getResponseBody(), ErrorEnvelope.class);
            var id = error.getResponseHeaders().firstValue("X-Request-Id");
            check(id.equals(Optional.of(envelope.getMeta().getRequestId().toString())));
            var code = envelope.getError().getCode();
            System.out.println(operation + " " + error.getCode() + " " + code);
            return envelope.getError();
        }
    }

    private static void check(boolean condition) {
        if (!condition) {
            throw new AssertionError();
        }
    }
}
