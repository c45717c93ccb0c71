module example.test/lifecycle

go 1.23
