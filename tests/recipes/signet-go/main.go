package main

import (
	"fmt"
	"log"
	"net/http"
	"os"

	"signet.dev/verifier"
)

func main() {
	v, err := verifier.New(os.Getenv("ISSUER"), os.Getenv("AUDIENCE"))
	if err != nil {
		log.Fatal(err)
	}
	http.Handle("GET /whoami", v.Middleware(http.HandlerFunc(whoami)))
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), nil))
}

func whoami(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, verifier.FromContext(r.Context()).Subject)
}
