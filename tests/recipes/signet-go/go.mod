module signet.dev/recipes/signet-go

go 1.23

require signet.dev/verifier v0.0.0

replace signet.dev/verifier => ../../../verifiers/go
