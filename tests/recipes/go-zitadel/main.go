package main

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/client/rs"
	"github.com/zitadel/oidc/v3/pkg/oidc"
)

func main() {
	signet, err := rs.NewResourceServerClientCredentials(
		context.Background(),
		os.Getenv("ISSUER"), os.Getenv("CLIENT_ID"), os.Getenv("CLIENT_SECRET"),
	)
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if bearer == "" {
			refuse(w)
			return
		}
		token, err := rs.Introspect[*oidc.IntrospectionResponse](r.Context(), signet, bearer)
		if err != nil {
			log.Print(err)
			http.Error(w, "the token cannot be verified now", http.StatusServiceUnavailable)
			return
		}
		// The introspection of an invalid token is no error.
		if !token.Active {
			refuse(w)
			return
		}
		fmt.Fprintln(w, token.Subject)
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

func refuse(w http.ResponseWriter) {
	w.Header().Set("WWW-Authenticate", "Bearer")
	http.Error(w, "unauthorized", http.StatusUnauthorized)
}
