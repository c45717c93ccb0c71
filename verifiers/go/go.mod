module signet.dev/verifier

go 1.23
