module example.com/house/test

go 1.26
