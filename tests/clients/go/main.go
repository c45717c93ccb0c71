// The life of an account. Prints a line for each answer: operation, status, error code.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"example.test/life/signet"
)

func main() {
	log.SetFlags(log.Lshortfile)
	if len(os.Args) != 4 {
		log.Fatal("usage: life URL EMAIL PASSWORD")
	}
	configuration := signet.NewConfiguration()
	configuration.Servers = signet.ServerConfigurations{{URL: os.Args[1]}}
	live(signet.NewAPIClient(configuration), os.Args[2], os.Args[3])
}

func live(client *signet.APIClient, email, password string) {
	accounts, sessions := client.AccountsAPI, client.SessionsAPI
	nobody := context.Background()

	signUp := accounts.SignUp(nobody).SignUpBody(*signet.NewSignUpBody(email, password))
	born := done("signUp", signUp.Execute)
	check(born.Email == email)
	refused("signUp", signUp.Execute)
	weak := *signet.NewSignUpBody("other-"+email, "Password1")
	fields := refused("signUp", accounts.SignUp(nobody).SignUpBody(weak).Execute).Fields
	check(len(fields) == 1 && fields[0].Name == "password")

	wrong := *signet.NewLogInBody(email, "Wrong-1")
	refused("logIn", sessions.LogIn(nobody).LogInBody(wrong).Execute)
	right := *signet.NewLogInBody(email, password)
	login := done("logIn", sessions.LogIn(nobody).LogInBody(right).Execute)
	check(login.UserId == born.UserId)

	account := done("getMe", accounts.GetMe(bearer(login.AccessToken)).Execute)
	check(account.UserId == born.UserId && !account.CreatedAt.IsZero())
	refused("getMe", accounts.GetMe(bearer("no-token")).Execute)

	refresh := *signet.NewRefreshBody(login.RefreshToken)
	renewed := done("refresh", sessions.Refresh(nobody).RefreshBody(refresh).Execute)
	check(renewed.RefreshToken != login.RefreshToken)
	check(renewed.ExpiresIn > 0 && renewed.TokenType == "Bearer")

	reset := *signet.NewResetBody("made-up", password)
	rejected("resetPassword", accounts.ResetPassword(nobody).ResetBody(reset).Execute)

	after := bearer(renewed.AccessToken)
	change(after, accounts)
	end(after, sessions)
	withdraw(after, client.ConsentsAPI)

	newPassword := password + "-new"
	changePassword(after, accounts, password, newPassword)

	done("logOut", sessions.LogOut(after).Execute)
	refused("getMe", accounts.GetMe(after).Execute)
	late := *signet.NewRefreshBody(renewed.RefreshToken)
	refused("refresh", sessions.Refresh(nobody).RefreshBody(late).Execute)

	again := *signet.NewLogInBody(email, newPassword)
	last := bearer(done("logIn", sessions.LogIn(nobody).LogInBody(again).Execute).AccessToken)
	leaving := *signet.NewDeleteMeBody(newPassword)
	emptied("deleteMe", accounts.DeleteMe(last).DeleteMeBody(leaving).Execute)
}

func change(who context.Context, accounts *signet.AccountsAPIService) {
	// A null takes a claim away, and what is not set is left as it is.
	profile := signet.ProfileBody{}
	profile.SetName("Ada")
	profile.SetLocale("en-GB")
	profile.SetGenderNil()
	named := done("updateMe", accounts.UpdateMe(who).ProfileBody(profile).Execute)
	check(named.GetName() == "Ada" && named.GetLocale() == "en-GB" && !named.HasGender())
	script := signet.ProfileBody{}
	script.SetWebsite("javascript:alert(1)")
	refused("updateMe", accounts.UpdateMe(who).ProfileBody(script).Execute)
}

func end(who context.Context, sessions *signet.SessionsAPIService) {
	list := done("listSessions", sessions.ListSessions(who).Execute).Sessions
	check(len(list) == 2 && list[0].Current && !list[1].Current)
	other := list[1].Id
	emptied("endSession", sessions.EndSession(who, other).Execute)
	rejected("endSession", sessions.EndSession(who, other).Execute)
	emptied("endOtherSessions", sessions.EndOtherSessions(who).Others(signet.TRUE).Execute)
}

func withdraw(who context.Context, consents *signet.ConsentsAPIService) {
	// Consents are given on the pages, so there is none to take back.
	check(len(done("listConsents", consents.ListConsents(who).Execute).Consents) == 0)
	rejected("withdrawConsent", consents.WithdrawConsent(who, "shop").Execute)
}

func changePassword(
	who context.Context, accounts *signet.AccountsAPIService, password, newPassword string,
) {
	wrong := *signet.NewChangeBody("Wrong-1", newPassword)
	rejected("changePassword", accounts.ChangePassword(who).ChangeBody(wrong).Execute)
	right := *signet.NewChangeBody(password, newPassword)
	emptied("changePassword", accounts.ChangePassword(who).ChangeBody(right).Execute)
}

func bearer(token string) context.Context {
	return context.WithValue(context.Background(), signet.ContextAccessToken, token)
}

// What the generator makes of an operation: with an answer, and with an empty one.
type (
	call[T any] func() (*T, *http.Response, error)
	emptyCall   func() (*http.Response, error)
)

func done[T any](operation string, send call[T]) *T {
	answer, response, err := send()
	if err != nil {
		log.Fatalf("%s: %v", operation, err)
	}
	fmt.Println(operation, response.StatusCode)
	return answer
}

func emptied(operation string, send emptyCall) {
	response, err := send()
	if err != nil {
		log.Fatalf("%s: %v", operation, err)
	}
	body, err := io.ReadAll(response.Body)
	check(err == nil && len(body) == 0)
	fmt.Println(operation, response.StatusCode)
}

func refused[T any](operation string, send call[T]) signet.ErrorBody {
	return rejected(operation, func() (*http.Response, error) {
		_, response, err := send()
		return response, err
	})
}

func rejected(operation string, send emptyCall) signet.ErrorBody {
	response, err := send()
	var refusal *signet.GenericOpenAPIError
	if !errors.As(err, &refusal) {
		log.Fatalf("%s: %v", operation, err)
	}
	envelope, ok := refusal.Model().(signet.ErrorEnvelope)
	check(ok && envelope.Meta.RequestId == response.Header.Get("X-Request-Id"))
	fmt.Println(operation, response.StatusCode, envelope.Error.Code)
	return envelope.Error
}

func check(holds bool) {
	if !holds {
		log.Output(2, "something does not hold")
		os.Exit(1)
	}
}
