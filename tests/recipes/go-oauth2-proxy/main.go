package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	// Reachable only through the proxy, which replaces this header of the client's request.
	http.HandleFunc("GET /whoami", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.Header.Get("X-Forwarded-User"))
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("APPLICATION_PORT"), nil))
}
