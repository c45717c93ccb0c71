module example.test/life

go 1.23
