// Calls all operations of an account's lifecycle. Prints each response's status and error code.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"example.test/lifecycle/signet"
)

func main() {
	log.SetFlags(log.Lshortfile)
	if len(os.Args) != 4 {
		log.Fatal("usage: lifecycle URL EMAIL PASSWORD")
	}
	configuration := signet.NewConfiguration()
	configuration.Servers = signet.ServerConfigurations{{URL: os.Args[1]}}
	callAllOperations(signet.NewAPIClient(configuration), os.Args[2], os.Args[3])
}

func callAllOperations(client *signet.APIClient, email, password string) {
	accounts, sessions := client.AccountsAPI, client.SessionsAPI
	anonymous := context.Background()

	signUp := accounts.SignUp(anonymous).SignUpBody(*signet.NewSignUpBody(email, password))
	signedUp := expectSuccess("signUp", signUp.Execute)
	check(signedUp.Email == email)
	expectError("signUp", signUp.Execute)
	weak := *signet.NewSignUpBody("other-"+email, "Password1")
	fields := expectError("signUp", accounts.SignUp(anonymous).SignUpBody(weak).Execute).Fields
	check(len(fields) == 1 && fields[0].Name == "password")

	wrong := *signet.NewLogInBody(email, "Wrong-1")
	expectError("logIn", sessions.LogIn(anonymous).LogInBody(wrong).Execute)
	correct := *signet.NewLogInBody(email, password)
	login := expectSuccess("logIn", sessions.LogIn(anonymous).LogInBody(correct).Execute)
	check(login.UserId == signedUp.UserId)

	account := expectSuccess("getMe", accounts.GetMe(bearer(login.AccessToken)).Execute)
	check(account.UserId == signedUp.UserId && !account.CreatedAt.IsZero())
	expectError("getMe", accounts.GetMe(bearer("no-token")).Execute)

	refresh := *signet.NewRefreshBody(login.RefreshToken)
	renewed := expectSuccess("refresh", sessions.Refresh(anonymous).RefreshBody(refresh).Execute)
	check(renewed.RefreshToken != login.RefreshToken)
	check(renewed.ExpiresIn > 0 && renewed.TokenType == "Bearer")

	reset := *signet.NewResetBody("made-up", password)
	expectEmptyCallError("resetPassword", accounts.ResetPassword(anonymous).ResetBody(reset).Execute)
	forgotten := *signet.NewForgottenBody(email)
	expectError("requestPasswordReset",
		accounts.RequestPasswordReset(anonymous).ForgottenBody(forgotten).Execute)
	code := *signet.NewCodeBody("made-up", "made-up", password)
	expectEmptyCallError("resetPasswordByCode",
		accounts.ResetPasswordByCode(anonymous).CodeBody(code).Execute)
	newEmail := *signet.NewChangeEmailBody("new-"+email, password)
	expectError("changeEmail",
		accounts.ChangeEmail(bearer(renewed.AccessToken)).ChangeEmailBody(newEmail).Execute)
	verifyEmail(accounts, email, password)

	caller := bearer(renewed.AccessToken)
	updateProfile(caller, accounts)
	endSessions(caller, sessions)
	withdrawConsent(caller, client.ConsentsAPI)
	downloadData(caller, accounts, email, password)

	newPassword := password + "-new"
	changePassword(caller, accounts, password, newPassword)

	expectSuccess("logOut", sessions.LogOut(caller).Execute)
	expectError("getMe", accounts.GetMe(caller).Execute)
	reused := *signet.NewRefreshBody(renewed.RefreshToken)
	expectError("refresh", sessions.Refresh(anonymous).RefreshBody(reused).Execute)

	again := *signet.NewLogInBody(email, newPassword)
	loginAgain := expectSuccess("logIn", sessions.LogIn(anonymous).LogInBody(again).Execute)
	last := bearer(loginAgain.AccessToken)
	deletion := *signet.NewDeleteMeBody(newPassword)
	expectEmpty("deleteMe", accounts.DeleteMe(last).DeleteMeBody(deletion).Execute)
}

func updateProfile(caller context.Context, accounts *signet.AccountsAPIService) {
	// A null removes a claim. Members that are not set stay unchanged.
	profile := signet.ProfileBody{}
	profile.SetName("Ada")
	profile.SetLocale("en-GB")
	profile.SetGenderNil()
	updated := expectSuccess("updateMe", accounts.UpdateMe(caller).ProfileBody(profile).Execute)
	check(updated.GetName() == "Ada" && updated.GetLocale() == "en-GB" && !updated.HasGender())
	invalid := signet.ProfileBody{}
	invalid.SetWebsite("javascript:alert(1)")
	expectError("updateMe", accounts.UpdateMe(caller).ProfileBody(invalid).Execute)
}

func verifyEmail(accounts *signet.AccountsAPIService, email, password string) {
	anonymous := context.Background()
	request := *signet.NewRequestVerificationBody(email, password)
	expectError("requestEmailVerification",
		accounts.RequestEmailVerification(anonymous).RequestVerificationBody(request).Execute)
	verification := *signet.NewVerifyBody("made-up")
	verification.SetPassword(password)
	expectEmptyCallError("verifyEmail", accounts.VerifyEmail(anonymous).VerifyBody(verification).Execute)
	code := *signet.NewVerifyCodeBody("made-up", "made-up")
	expectEmptyCallError("verifyEmailByCode",
		accounts.VerifyEmailByCode(anonymous).VerifyCodeBody(code).Execute)
}

func endSessions(caller context.Context, sessions *signet.SessionsAPIService) {
	list := expectSuccess("listSessions", sessions.ListSessions(caller).Execute).Sessions
	check(len(list) == 2 && list[0].Current && !list[1].Current)
	other := list[1].Id
	expectEmpty("endSession", sessions.EndSession(caller, other).Execute)
	expectEmptyCallError("endSession", sessions.EndSession(caller, other).Execute)
	expectEmpty("endOtherSessions", sessions.EndOtherSessions(caller).Others(signet.TRUE).Execute)
}

func withdrawConsent(caller context.Context, consents *signet.ConsentsAPIService) {
	// Consents are only given on the hosted pages, so there is none to withdraw.
	check(len(expectSuccess("listConsents", consents.ListConsents(caller).Execute).Consents) == 0)
	expectEmptyCallError("withdrawConsent", consents.WithdrawConsent(caller, "shop").Execute)
}

func downloadData(
	caller context.Context, accounts *signet.AccountsAPIService, email, password string,
) {
	wrong := *signet.NewDownloadBody("Wrong-1")
	expectError("downloadMyData", accounts.DownloadMyData(caller).DownloadBody(wrong).Execute)
	correct := *signet.NewDownloadBody(password)
	data := expectSuccess("downloadMyData",
		accounts.DownloadMyData(caller).DownloadBody(correct).Execute)
	check(data.Account.Email == email && len(data.Consents) == 0)
	check(data.Events[0].Type == "signup")
	check(data.Events[len(data.Events)-1].Type == "data_downloaded")
}

func changePassword(
	caller context.Context, accounts *signet.AccountsAPIService, password, newPassword string,
) {
	wrong := *signet.NewChangeBody("Wrong-1", newPassword)
	expectEmptyCallError("changePassword", accounts.ChangePassword(caller).ChangeBody(wrong).Execute)
	correct := *signet.NewChangeBody(password, newPassword)
	expectEmpty("changePassword", accounts.ChangePassword(caller).ChangeBody(correct).Execute)
}

func bearer(token string) context.Context {
	return context.WithValue(context.Background(), signet.ContextAccessToken, token)
}

// The functions that the generator creates for an operation: with a response body, and without.
type (
	call[T any] func() (*T, *http.Response, error)
	emptyCall   func() (*http.Response, error)
)

func expectSuccess[T any](operation string, send call[T]) *T {
	body, response, err := send()
	if err != nil {
		log.Fatalf("%s: %v", operation, err)
	}
	fmt.Println(operation, response.StatusCode)
	return body
}

func expectEmpty(operation string, send emptyCall) {
	response, err := send()
	if err != nil {
		log.Fatalf("%s: %v", operation, err)
	}
	body, err := io.ReadAll(response.Body)
	check(err == nil && len(body) == 0)
	fmt.Println(operation, response.StatusCode)
}

func expectError[T any](operation string, send call[T]) signet.ErrorBody {
	return expectEmptyCallError(operation, func() (*http.Response, error) {
		_, response, err := send()
		return response, err
	})
}

func expectEmptyCallError(operation string, send emptyCall) signet.ErrorBody {
	response, err := send()
	var apiError *signet.GenericOpenAPIError
	if !errors.As(err, &apiError) {
		log.Fatalf("%s: %v", operation, err)
	}
	envelope, ok := apiError.Model().(signet.ErrorEnvelope)
	check(ok && envelope.Meta.RequestId == response.Header.Get("X-Request-Id"))
	fmt.Println(operation, response.StatusCode, envelope.Error.Code)
	return envelope.Error
}

func check(condition bool) {
	if !condition {
		log.Output(2, "check failed")
		os.Exit(1)
	}
}
