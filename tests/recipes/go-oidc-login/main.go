package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"os"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

func main() {
	provider, err := oidc.NewProvider(context.Background(), os.Getenv("ISSUER"))
	if err != nil {
		log.Fatal(err)
	}
	app := &login{
		verifier: provider.Verifier(&oidc.Config{ClientID: os.Getenv("CLIENT_ID")}),
		config: oauth2.Config{
			ClientID:     os.Getenv("CLIENT_ID"),
			ClientSecret: os.Getenv("CLIENT_SECRET"),
			Endpoint:     provider.Endpoint(),
			RedirectURL:  "http://127.0.0.1:" + os.Getenv("PORT") + "/callback",
			Scopes:       []string{oidc.ScopeOpenID, "profile", "email"},
		},
	}
	http.HandleFunc("GET /login", app.start)
	http.HandleFunc("GET /callback", app.finish)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

type login struct {
	config   oauth2.Config
	verifier *oidc.IDTokenVerifier
}

// start redirects to Signet. Cookies store the values that the callback compares.
func (l *login) start(w http.ResponseWriter, r *http.Request) {
	state, nonce, pkce := rand.Text(), rand.Text(), oauth2.GenerateVerifier()
	for name, value := range map[string]string{"state": state, "nonce": nonce, "pkce": pkce} {
		http.SetCookie(w, &http.Cookie{
			Name: name, Value: value, Path: "/callback", MaxAge: 600, HttpOnly: true,
			SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil,
		})
	}
	url := l.config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(pkce))
	http.Redirect(w, r, url, http.StatusFound)
}

func (l *login) finish(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("state") == "" || r.FormValue("state") != cookie(r, "state") {
		http.Error(w, "this login was not started in this browser", http.StatusBadRequest)
		return
	}
	if r.FormValue("error") != "" {
		http.Error(w, "not logged in", http.StatusForbidden)
		return
	}
	token, err := l.exchange(r)
	if err != nil {
		log.Print(err)
		http.Error(w, "the login failed", http.StatusBadGateway)
		return
	}
	// Your session begins here: store token.Subject in it, which identifies the user.
	fmt.Fprintln(w, token.Subject)
}

func (l *login) exchange(r *http.Request) (*oidc.IDToken, error) {
	answer, err := l.config.Exchange(
		r.Context(), r.FormValue("code"), oauth2.VerifierOption(cookie(r, "pkce")))
	if err != nil {
		return nil, err
	}
	raw, _ := answer.Extra("id_token").(string)
	token, err := l.verifier.Verify(r.Context(), raw)
	if err != nil {
		return nil, err
	}
	if token.Nonce != cookie(r, "nonce") {
		return nil, fmt.Errorf("the nonce belongs to another login")
	}
	return token, nil
}

func cookie(r *http.Request, name string) string {
	found, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return found.Value
}
